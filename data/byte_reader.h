// The bytes of a file, decompressed on the way, in pieces of bounded size.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

namespace blalm {

class ByteReader {
 public:
  virtual ~ByteReader() = default;
  // The next piece, valid until the next call; empty at the end.
  // Throws DataError, naming the file, for what cannot be read, is damaged or ends too early.
  virtual std::string_view next() = 0;
};

// Opens a regular file. Data in xz, gzip or Zstandard format, told by its first bytes, is decompressed and its
// checksums are verified. Throws DataError, naming the file, when it is missing, unreadable, a folder or a pipe, or has
// the name of a compressed file (.xz, .gz, .zst) without being one.
std::unique_ptr<ByteReader> open_bytes(const std::filesystem::path& path);

}  // namespace blalm
