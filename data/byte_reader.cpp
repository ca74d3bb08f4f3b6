#include "blalm/data/byte_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "blalm/core/error.h"
#include "blalm/data/byte_decoders.h"

namespace blalm {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 18;

class FileReader final : public ByteReader {
 public:
  explicit FileReader(const std::filesystem::path& path) : path_(path), buffer_(kPieceBytes) {
    // Without O_NONBLOCK, opening a named pipe would wait for someone to write to it.
    file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file_ < 0) fail_with_errno();
    struct stat status {};
    const char* wrong = nullptr;
    if (::fstat(file_, &status) != 0)
      wrong = "a file without status";
    else if (S_ISDIR(status.st_mode))
      wrong = "a directory";
    else if (!S_ISREG(status.st_mode))
      wrong = "a pipe or device";
    if (wrong != nullptr) {
      ::close(file_);
      throw DataError(expected_got("read", fmt::format("a readable file '{}'", path_.string()), wrong));
    }
  }
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;
  ~FileReader() override { ::close(file_); }

  std::string_view next() override {
    if (!std::exchange(peeked_, false)) fill();
    return {buffer_.data(), size_};
  }
  // The first piece, which next() will give again.
  std::string_view peek() {
    fill();
    peeked_ = true;
    return {buffer_.data(), size_};
  }

 private:
  void fill() {
    size_ = 0;
    while (size_ < buffer_.size()) {
      const ssize_t count = ::read(file_, buffer_.data() + size_, buffer_.size() - size_);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail_with_errno();
      if (count == 0) break;
      size_ += static_cast<std::size_t>(count);
    }
  }
  [[noreturn]] void fail_with_errno() const {
    throw DataError(expected_got("read", fmt::format("a readable file '{}'", path_.string()),
                                 fmt::format("'{}'", std::generic_category().message(errno))));
  }

  std::filesystem::path path_;
  std::vector<char> buffer_;
  std::size_t size_ = 0;
  int file_ = -1;
  bool peeked_ = false;
};

struct Compression {
  std::string_view extension, name, magic;
  std::unique_ptr<ByteReader> (*decode)(std::unique_ptr<ByteReader>, const std::filesystem::path&);
};

constexpr Compression kCompressions[] = {
    {".xz", "xz",
     std::string_view("\xFD"
                      "7zXZ\0",
                      6),
     decode_archive},
    {".zst", "Zstandard", "\x28\xB5\x2F\xFD", decode_archive},
    {".gz", "gzip", "\x1F\x8B", decode_gzip},
};

}  // namespace

std::unique_ptr<ByteReader> open_bytes(const std::filesystem::path& path) {
  auto file = std::make_unique<FileReader>(path);
  const std::string_view start = file->peek();
  for (const Compression& c : kCompressions) {
    if (start.starts_with(c.magic)) return c.decode(std::move(file), path);
    if (path.extension() == c.extension) {
      throw DataError(expected_got("read", fmt::format("{} data in '{}'", c.name, path.string()),
                                   start.empty() ? "an empty file" : "other bytes",
                                   "a plain text file needs another name"));
    }
  }
  return file;
}

}  // namespace blalm
