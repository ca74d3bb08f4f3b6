// Folders that one process writes into: made if need be, locked against others, and gone again unless they are kept.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace blalm {

class OwnedFolder {
 public:
  // Makes the folder and those above it that are missing. DataError, with `where` in front, naming the folder: it
  // cannot be written, or another OwnedFolder has it, in this process or another (where the file system has locks).
  OwnedFolder(std::filesystem::path path, std::string where);
  // Makes PREFIX-XXXXXX where temporary files go (TMPDIR), of a name that nobody can know before, for this user alone.
  // Those of the same prefix and user whose owners were killed go now.
  struct Temporary {
    std::string prefix;
  };
  OwnedFolder(const Temporary& name, std::string where);
  // Unless they are kept, the folders that were made here go: the last one with all that is in it, those above it if
  // they are empty, for others may have put something there.
  ~OwnedFolder();
  OwnedFolder(const OwnedFolder&) = delete;
  OwnedFolder& operator=(const OwnedFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void keep() { made_.clear(); }
  // The DataError for what cannot be done in the folder.
  [[noreturn]] void cannot_write(const std::error_code& error) const;

 private:
  void make();
  // Whether the folder is locked, or has no locks; false when it was removed meanwhile.
  bool lock();
  void release() noexcept;

  std::filesystem::path path_;
  std::string where_;
  std::vector<std::filesystem::path> made_;  // from above
  int lock_ = -1;                            // the folder itself
};

}  // namespace blalm
