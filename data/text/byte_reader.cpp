#include "data/text/byte_reader.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "data/text/decompressor.h"
#include "engine/core/error.h"
#include "engine/io/input_file.h"

namespace blalm {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 18;

class FileReader final : public ByteReader {
 public:
  explicit FileReader(const std::filesystem::path& path) : file_(path), buffer_(kPieceBytes) {}

  std::string_view next() override {
    if (!std::exchange(peeked_, false)) fill();
    return {buffer_.data(), size_};
  }
  std::int64_t file_bytes() const override { return file_bytes_; }
  // The first piece, which next() will give again.
  std::string_view peek() {
    fill();
    peeked_ = true;
    return {buffer_.data(), size_};
  }

 private:
  void fill() {
    size_ = file_.read(buffer_);
    file_bytes_ += static_cast<std::int64_t>(size_);
  }

  InputFile file_;
  std::vector<char> buffer_;
  std::size_t size_ = 0;
  std::int64_t file_bytes_ = 0;
  bool peeked_ = false;
};

struct Compression {
  std::string_view extension, name, magic;
  std::unique_ptr<ByteReader> (*decode)(std::unique_ptr<ByteReader>, const std::filesystem::path&);
};

using std::string_view_literals::operator""sv;
constexpr Compression kCompressions[] = {
    {".xz", "xz",
     "\xFD"
     "7zXZ\0"sv,
     decode_xz},
    {".zst", "Zstandard", "\x28\xB5\x2F\xFD"sv, decode_zstd},
    {".gz", "gzip", "\x1F\x8B"sv, decode_gzip},
};

// Told by name and first bytes, to be named: they are not read here.
constexpr struct {
  std::string_view extension, name, magic;
} kOthers[] = {
    {".lzma", "an LZMA file of the time before xz", "\x5D\0\0"sv},
    {".lz", "an lzip file", "LZIP"sv},
    {".bz2", "a bzip2 file", "BZh"sv},
    {".lz4", "an LZ4 file", "\x04\x22\x4D\x18"sv},
    {".Z", "a file of compress", "\x1F\x9D"sv},
    {".zip", "a zip archive", "PK\x03\x04"sv},
};

// Zstandard as it was before its format became final, in 2016; with a number of the version in the first byte.
bool is_old_zstd(std::string_view start) {
  return start.size() >= 4 && start.substr(1, 3) == "\xB5\x2F\xFD"sv && start[0] >= 0x1E && start[0] <= 0x27;
}

// A Zstandard file may begin with a frame that holds no text, as pzstd writes one.
bool is_skippable_frame(std::string_view start) {
  return start.size() >= 4 && (start[0] & 0xF0) == 0x50 && start.substr(1, 3) == "\x2A\x4D\x18"sv;
}

const Compression* compression_of(std::string_view start) {
  for (const Compression& c : kCompressions)
    if (start.starts_with(c.magic) || (c.extension == ".zst" && is_skippable_frame(start))) return &c;
  return nullptr;
}

}  // namespace

std::unique_ptr<ByteReader> open_bytes(const std::filesystem::path& path) {
  auto file = std::make_unique<FileReader>(path);
  const std::string_view start = file->peek();
  if (const Compression* c = compression_of(start)) return c->decode(std::move(file), path);
  const auto refuse = [&](std::string_view expected, std::string_view got, std::string_view hint) {
    throw DataError(expected_got("read", fmt::format("{} in '{}'", expected, path.string()), got, hint));
  };
  for (const auto& other : kOthers)
    if (path.extension() == other.extension && start.starts_with(other.magic))
      refuse("text, plain or in xz, gzip or Zstandard format,", other.name, "unpack it before");
  for (const Compression& c : kCompressions) {
    if (path.extension() != c.extension) continue;
    const std::string expected = fmt::format("{} data", c.name);
    if (is_old_zstd(start)) refuse(expected, "that of a version before 0.8", "decompress it before");
    refuse(expected, start.empty() ? "an empty file" : "other bytes", "a plain text file needs another name");
  }
  return file;
}

}  // namespace blalm
