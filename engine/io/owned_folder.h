// Folders that one process writes into: made if need be, locked against others, and gone again unless they are kept.
// And folders that any number of processes read, which none may write into meanwhile.
#pragma once

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace blalm {

class OwnedFolder {
 public:
  // Makes the folder and those above it that are missing, and removes temporary files that killed processes have left
  // there. DataError, with `where` in front, naming the folder: it
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
  // Done with writing: from now on others may read it (ReadFolder), and still nobody else may write.
  void share();
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

// A folder that is read: while one of these lives, there is no OwnedFolder of it (where the file system has locks).
class ReadFolder {
 public:
  // DataError, with `where` in front, when an OwnedFolder has it. One that cannot be opened is left to who reads it.
  ReadFolder(const std::filesystem::path& path, const std::string& where);
  ~ReadFolder();
  ReadFolder(const ReadFolder&) = delete;
  ReadFolder& operator=(const ReadFolder&) = delete;

 private:
  int lock_ = -1;
};

}  // namespace blalm
