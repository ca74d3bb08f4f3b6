// Decompression behind open_bytes (byte_reader.h). Each reads compressed bytes from `input`; `path` is for messages.
#pragma once

#include <filesystem>
#include <memory>

#include "blalm/data/byte_reader.h"

namespace blalm {

// By zlib, because libarchive does not compare the checksums of gzip files.
std::unique_ptr<ByteReader> decode_gzip(std::unique_ptr<ByteReader> input, const std::filesystem::path& path);
// xz and Zstandard, by libarchive.
std::unique_ptr<ByteReader> decode_archive(std::unique_ptr<ByteReader> input, const std::filesystem::path& path);

}  // namespace blalm
