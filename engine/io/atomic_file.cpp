#include "engine/io/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/core/error.h"

namespace blalm {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

constexpr std::string_view kTemporaryBegin = ".blalm-", kTemporaryEnd = ".tmp";

std::string message_of(int error) { return fmt::format("'{}'", std::generic_category().message(error)); }

[[noreturn]] void throw_unwritable(const std::filesystem::path& path, std::string_view got) {
  throw DataError(expected_got("write", fmt::format("a writable file '{}'", path.string()), got));
}

// Unique among the threads of this process and among processes; short, so that any legal name can be a target.
std::string next_temporary_name() {
  static std::atomic<unsigned> counter{0};
  return fmt::format("{}{}-{}{}", kTemporaryBegin, ::getpid(), counter.fetch_add(1), kTemporaryEnd);
}

// Filesystems that cannot sync a folder say so with these; there is nothing more to be done on them.
bool is_unsupported(int error) { return error == EINVAL || error == ENOTSUP; }

}  // namespace

AtomicFile::AtomicFile(const std::filesystem::path& path, Links links) : target_(path) {
  std::error_code error, ignored;  // what `ignored` would tell, opening tells better
  const bool is_link = std::filesystem::is_symlink(path, ignored);
  if (is_link && links == Links::follow) target_ = std::filesystem::canonical(path, error);
  if (error) throw_unwritable(path, message_of(error.value()));
  if (target_.empty() || !target_.has_filename()) throw_unwritable(path, "a path without a file name");

  struct stat previous {};
  const bool replaces = !(is_link && links == Links::replace) && ::stat(target_.c_str(), &previous) == 0;
  if (replaces && S_ISDIR(previous.st_mode)) throw_unwritable(path, "a directory");
  if (replaces && !S_ISREG(previous.st_mode)) throw_unwritable(path, "a pipe or device, which cannot be replaced");

  const std::filesystem::path folder = target_.has_parent_path() ? target_.parent_path() : ".";
  folder_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0) fail(errno);
  do {
    temporary_ = next_temporary_name();
    file_ = ::openat(folder_, temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file_ < 0 && errno == EEXIST);  // left by a process of the same number that was killed
  if (file_ < 0) {
    const int reason = errno;
    temporary_.clear();
    fail(reason);
  }
  ::flock(file_, LOCK_EX | LOCK_NB);  // tells remove_leftover_files() that it is no leftover, where there are locks
  if (replaces && ::fchmod(file_, previous.st_mode & 07777) != 0) fail(errno);
}

void AtomicFile::append(std::span<const std::byte> bytes) {
  if (buffer_.size() + bytes.size() > kBufferBytes) {
    write_out(buffer_);
    buffer_.clear();
  }
  if (bytes.size() > kBufferBytes)
    write_out(bytes);
  else
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

void AtomicFile::write_out(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(written < 0 ? errno : ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void AtomicFile::commit() {
  write_out(buffer_);
  buffer_.clear();
  // Before the rename, or a power cut could leave the new name on a file whose content never reached the disk.
  if (::fsync(file_) != 0) fail(errno);
  if (::close(std::exchange(file_, -1)) != 0) fail(errno);
  if (::renameat(folder_, temporary_.c_str(), folder_, target_.filename().c_str()) != 0) fail(errno);
  temporary_.clear();
  if (::fsync(folder_) != 0 && !is_unsupported(errno)) fail(errno);
  discard();
}

void AtomicFile::discard() noexcept {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
  if (!temporary_.empty()) ::unlinkat(folder_, temporary_.c_str(), 0);
  temporary_.clear();
  if (folder_ >= 0) ::close(std::exchange(folder_, -1));
}

void AtomicFile::fail(int error) {
  discard();
  throw_unwritable(target_, message_of(error));
}

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes, Links links) {
  AtomicFile file(path, links);
  file.append(bytes);
  file.commit();
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text, Links links) {
  write_file_atomically(path, std::as_bytes(std::span(text)), links);
}

void remove_leftover_files(const std::filesystem::path& folder) noexcept {
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(kTemporaryBegin) || !name.ends_with(kTemporaryEnd)) continue;
    const int file = ::open(it->path().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0) continue;
    if (::flock(file, LOCK_EX | LOCK_NB) == 0) ::unlink(it->path().c_str());
    ::close(file);
  }
}

}  // namespace blalm
