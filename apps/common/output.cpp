#include "apps/common/output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

#include "engine/core/error.h"

namespace blalm {
namespace {

int lost = 0;

// 0, or an errno.
int write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {  // another program with the same terminal has made it non-blocking
      pollfd ready{file, POLLOUT, 0};
      ::poll(&ready, 1, -1);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

// A terminal that is gone says EIO, like a broken disk.
bool nobody_reads(int file, int error) {
  struct stat about {};
  return error == EPIPE || error == ECONNRESET ||
         (error == EIO && ::fstat(file, &about) == 0 && S_ISCHR(about.st_mode));
}

}  // namespace

void prepare_output() {
  for (int file = STDIN_FILENO; file <= STDERR_FILENO; ++file)
    if (::fcntl(file, F_GETFD) < 0 && errno == EBADF && ::open("/dev/null", O_RDWR) < 0) ::_exit(3);
  std::signal(SIGPIPE, SIG_IGN);
}

void write_out(std::string_view text) {
  const int error = write_all(STDOUT_FILENO, text);
  if (error == 0) return;
  if (nobody_reads(STDOUT_FILENO, error)) throw OutputClosed();
  throw DataError(expected_got("output", "to write to standard output", std::generic_category().message(error)));
}

void write_aside(std::string_view text) {
  const int error = write_all(STDOUT_FILENO, text);
  if (error != 0 && !nobody_reads(STDOUT_FILENO, error)) lost = error;
}

void write_error(std::string_view text) { write_all(STDERR_FILENO, text); }

int lost_output() { return lost; }

}  // namespace blalm
