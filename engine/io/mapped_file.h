// A file read through memory: the kernel brings pages in as they are touched and shares them between processes, so that
// opening a model costs nothing and no byte is copied that is not used.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "engine/io/live_mapping.h"

namespace blalm {

// Read-only, move-only. The bytes stay valid and unchanged when the file is replaced by rename (as AtomicFile does),
// for the mapping holds on to the old one. Should another process cut the file short in place, then touching what is
// gone ends this one (live_mapping.h).
class MappedFile {
 public:
  MappedFile() = default;  // no file: size 0
  // Throws DataError as InputFile does.
  explicit MappedFile(std::filesystem::path path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  const std::filesystem::path& path() const { return path_; }
  std::size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;  // page-aligned; null when the file is empty
  std::size_t size_ = 0;
  std::unique_ptr<LiveMapping> live_;
};

}  // namespace blalm
