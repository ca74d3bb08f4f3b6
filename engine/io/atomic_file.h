// Files that are written whole or not at all. A reader, or a run resumed after a power cut, sees the old content or the
// new one and never a part of it (design §9).
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace blalm {

// What becomes of a symbolic link under the name that is written: its target is written, or a file takes its place.
enum class Links { follow, replace };

// Writes to a temporary file in the folder of `path`; commit() syncs it to the disk and renames it over `path`.
// An existing file keeps its permission bits.
// Every failure (full disk, permission, missing folder) removes the temporary file, leaves the previous file as it was
// and throws a DataError that names the file and the reason.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path, Links links = Links::follow);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() { discard(); }  // without commit() nothing is left behind

  void append(std::span<const std::byte> bytes);
  void append(std::string_view text) { append(std::as_bytes(std::span(text))); }

  // Once, at the end. Syncing the folder comes last, after the rename: should only that fail, the error is thrown with
  // the new file in place.
  void commit();

 private:
  void write_out(std::span<const std::byte> bytes);
  void discard() noexcept;
  [[noreturn]] void fail(int error);

  std::filesystem::path target_;  // links resolved
  std::string temporary_;         // name inside the folder; empty when there is no temporary file
  int folder_ = -1;               // descriptor: a change of the working directory does not matter
  int file_ = -1;
  std::vector<std::byte> buffer_;  // gathers small pieces
};

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes,
                           Links links = Links::follow);
void write_file_atomically(const std::filesystem::path& path, std::string_view text, Links links = Links::follow);

// Removes the temporary files that killed processes have left in a folder, as far as that can be done. Those that are
// being written stay.
void remove_leftover_files(const std::filesystem::path& folder) noexcept;

}  // namespace blalm
