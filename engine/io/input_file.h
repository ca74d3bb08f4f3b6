// The one way in which files are opened for reading: whatever stands under a name, opening it neither waits nor is it
// taken for what it is not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace blalm {

// A regular file, open for reading.
class InputFile {
 public:
  // Throws DataError, naming the file, when it is missing, unreadable or no regular file (a folder, a pipe, a device).
  explicit InputFile(const std::filesystem::path& path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  const std::filesystem::path& path() const { return path_; }
  int descriptor() const { return file_; }
  std::int64_t size() const { return size_; }  // bytes, when it was opened
  // Fills `bytes`, but for the end of the file; tells how many there are. Throws DataError, naming the file.
  std::size_t read(std::span<char> bytes);
  // The DataError for what is wrong with the file, and that for the last system call.
  [[noreturn]] void fail(std::string_view got) const;
  [[noreturn]] void fail_with_errno() const;

 private:
  std::filesystem::path path_;
  int file_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace blalm
