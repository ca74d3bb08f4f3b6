// The bytes of a file, decompressed on the way, in pieces of bounded size.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

namespace blalm {

class ByteReader {
 public:
  virtual ~ByteReader() = default;
  // The next piece, valid until the next call; empty at the end.
  // Throws DataError, naming the file, for what cannot be read, is damaged or ends too early.
  virtual std::string_view next() = 0;
  // How much of the file was read for that, in bytes as they are on the disk.
  virtual std::int64_t file_bytes() const = 0;
};

// How far the reading of a file has come.
struct ReadProgress {
  const std::filesystem::path& file;
  std::int64_t text_bytes, file_bytes;  // the same unless it is compressed
};
// Called for each piece of a file that was read, by whatever thread reads; may throw to stop. A compressed file may
// hold a thousand times its size, so that this is where reading can be watched.
using ReadPulse = std::function<void(const ReadProgress&)>;

// Opens a regular file. Data in xz, gzip or Zstandard format, told by its first bytes, is decompressed and its
// checksums are verified: whatever the tools of these formats read (decoder.h). Throws DataError, naming the file, when
// it is missing, unreadable, a folder or a pipe, has the name of a compressed file (.xz, .gz, .zst) without being one,
// or is in a format that is not read.
std::unique_ptr<ByteReader> open_bytes(const std::filesystem::path& path);

}  // namespace blalm
