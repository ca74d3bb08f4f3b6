#include "engine/io/owned_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "engine/core/error.h"
#include "engine/io/atomic_file.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

std::error_code last_error() { return {errno, std::generic_category()}; }

bool is_locked_by_none(int folder) { return ::flock(folder, LOCK_EX | LOCK_NB) == 0; }

void remove_abandoned(const fs::path& parent, const std::string& prefix) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(parent, error), end; !error && at != end; at.increment(error))
    if (at->path().filename().string().starts_with(prefix + '-')) found.push_back(at->path());
  for (const fs::path& path : found) {
    const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) continue;
    struct stat status {};
    std::error_code ignored;
    if (::fstat(folder, &status) == 0 && status.st_uid == ::geteuid() && is_locked_by_none(folder))
      fs::remove_all(path, ignored);
    ::close(folder);
  }
}

}  // namespace

OwnedFolder::OwnedFolder(fs::path path, std::string where) : path_(std::move(path)), where_(std::move(where)) {
  try {
    do make();
    while (!lock());
    if (::faccessat(AT_FDCWD, path_.c_str(), W_OK | X_OK, AT_EACCESS) != 0) cannot_write(last_error());
    remove_leftover_files(path_);
  } catch (...) {
    release();
    throw;
  }
}

OwnedFolder::OwnedFolder(const Temporary& name, std::string where) : where_(std::move(where)) {
  std::error_code error;
  const fs::path parent = fs::temp_directory_path(error);
  if (error)
    throw DataError(
        expected_got(where_, "a folder for temporary files, as TMPDIR names it", fmt::format("'{}'", error.message())));
  remove_abandoned(parent, name.prefix);
  do {
    std::string path = (parent / (name.prefix + "-XXXXXX")).string();
    path_ = path;
    if (::mkdtemp(path.data()) == nullptr) cannot_write(last_error());
    path_ = path;
    made_ = {path_};
  } while (!lock());  // another may have taken it for abandoned
}

OwnedFolder::~OwnedFolder() { release(); }

void OwnedFolder::cannot_write(const std::error_code& error) const {
  throw DataError(expected_got(where_, fmt::format("a folder that can be written, '{}'", path_.string()),
                               fmt::format("'{}'", error.message())));
}

void OwnedFolder::make() {
  if (path_.empty()) cannot_write(std::make_error_code(std::errc::no_such_file_or_directory));
  fs::path at;
  for (const fs::path& part : path_) {
    at /= part;
    std::error_code error;
    if (fs::is_directory(at, error)) continue;
    if (fs::create_directory(at, error)) made_.push_back(at);
    if (error == std::errc::file_exists) error = std::make_error_code(std::errc::not_a_directory);
    if (error) cannot_write(error);
  }
}

bool OwnedFolder::lock() {
  lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0 && errno == ENOENT) return false;
  if (lock_ < 0) cannot_write(last_error());
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    made_.clear();  // whoever has it needs it
    const bool is_read = ::flock(lock_, LOCK_SH | LOCK_NB) == 0;
    throw DataError(expected_got(where_, fmt::format("'{}' for this process alone", path_.string()),
                                 is_read ? "another process that reads it" : "another process that writes there",
                                 "wait for it, or name another folder"));
  }
  // Who had the lock before may have removed the folder: then this is the lock of one that has no name any more.
  struct stat locked {
  }, named{};
  if (::fstat(lock_, &locked) == 0 && ::stat(path_.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
      locked.st_dev == named.st_dev)
    return true;
  ::close(std::exchange(lock_, -1));
  return false;
}

void OwnedFolder::share() { ::flock(lock_, LOCK_SH | LOCK_NB); }

void OwnedFolder::release() noexcept {
  std::error_code ignored;
  for (std::size_t i = made_.size(); i-- > 0;) {
    if (i + 1 == made_.size())
      fs::remove_all(made_[i], ignored);
    else
      fs::remove(made_[i], ignored);
  }
  made_.clear();
  if (lock_ >= 0) ::close(std::exchange(lock_, -1));
}

ReadFolder::ReadFolder(const fs::path& path, const std::string& where)
    : lock_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (lock_ < 0 || ::flock(lock_, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(std::exchange(lock_, -1));
  throw DataError(expected_got(where, fmt::format("'{}' at rest", path.string()), "another process that writes there",
                               "wait for it"));
}

ReadFolder::~ReadFolder() {
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace blalm
