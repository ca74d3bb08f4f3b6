// Reading and checking the header of a safetensors file. Private to engine/io and its tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "engine/io/safetensors.h"

namespace blalm::safetensors {

inline constexpr std::int64_t kLengthBytes = 8;               // the u64 in front of the header
inline constexpr std::int64_t kMaxHeaderBytes = 100'000'000;  // the limit of the reference implementation
inline constexpr std::string_view kMetadataKey = "__metadata__";

struct Header {
  std::map<std::string, SafetensorsInfo, std::less<>> tensors;
  SafetensorsMetadata metadata;
  std::size_t data_begin = 0;  // offset of the data in the file
};

// Checks every rule of the format on the bytes of a whole file; `file` is its name in messages. Throws FormatError at
// the first that is broken. Memory used is a small multiple of the header that is really there.
Header parse_header(std::string_view file, std::span<const std::byte> bytes);

// Throws FormatError "[safetensors] SUBJECT: expected …, got … (hint)"; the subject is "FILE: tensor 'x'" or the like.
[[noreturn]] void fail(std::string_view subject, std::string_view expected, std::string_view got,
                       std::string_view hint = {});
// "FILE: tensor 'NAME'"
std::string subject_of(std::string_view file, std::string_view name);
// Fit for one line of a message (core/utf8.h), the end of a long text cut off.
std::string printable(std::string_view text);

}  // namespace blalm::safetensors
