#include "apps/common/append_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "engine/core/error.h"

namespace blalm {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw DataError(expected_got("write", fmt::format("a writable file '{}'", path.string()),
                               fmt::format("'{}'", std::generic_category().message(error))));
}

}  // namespace

AppendFile::AppendFile(const std::filesystem::path& path)
    // Without O_NONBLOCK, opening a named pipe would wait for someone to read from it.
    : path_(path),
      file_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0666)) {
  struct stat status {};
  const bool is_pipe = file_ < 0 && errno == ENXIO;  // that nobody reads
  if (file_ < 0 && !is_pipe) fail(path_, errno);
  if (!is_pipe && fstat(file_, &status) == 0 && S_ISREG(status.st_mode)) return;
  if (!is_pipe) close(file_);
  throw DataError(expected_got("write", fmt::format("a writable file '{}'", path_.string()), "a pipe or device"));
}

AppendFile::~AppendFile() { close(file_); }

void AppendFile::append(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(file_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(path_, written < 0 ? errno : ENOSPC);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace blalm
