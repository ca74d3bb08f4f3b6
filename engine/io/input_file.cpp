#include "engine/io/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "engine/core/error.h"

namespace blalm {

InputFile::InputFile(const std::filesystem::path& path) : path_(path) {
  // Without O_NONBLOCK, opening a named pipe would wait for someone to write to it; without O_NOCTTY, a terminal could
  // become that of this process.
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file_ < 0) fail_with_errno();
  try {
    struct stat status {};
    if (::fstat(file_, &status) != 0) fail_with_errno();
    if (S_ISDIR(status.st_mode)) fail("a directory");
    if (!S_ISREG(status.st_mode)) fail("a pipe or device");
    size_ = status.st_size;
  } catch (...) {
    ::close(file_);
    throw;
  }
}

InputFile::~InputFile() { ::close(file_); }

std::size_t InputFile::read(std::span<char> bytes) {
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = ::read(file_, bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail_with_errno();
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  return size;
}

void InputFile::fail(std::string_view got) const {
  throw DataError(expected_got("read", fmt::format("a readable file '{}'", path_.string()), got));
}

void InputFile::fail_with_errno() const { fail(fmt::format("'{}'", std::generic_category().message(errno))); }

}  // namespace blalm
