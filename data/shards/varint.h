// Whole numbers in as few bytes as they need (LEB128): seven bits a byte, the lowest first, the high bit set on all
// bytes but the last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace blalm {

inline void put_varint(std::uint64_t value, std::vector<std::byte>& out) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<std::byte>(value | 0x80));
  out.push_back(static_cast<std::byte>(value));
}

// Takes a number off the front of `bytes`; nothing when there is no whole one, or one above 2^63 - 1.
inline std::optional<std::int64_t> take_varint(std::span<const std::byte>& bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 9 && i < bytes.size(); ++i) {
    const auto byte = static_cast<std::uint64_t>(bytes[i]);
    value |= (byte & 0x7F) << (7 * i);
    if (byte < 0x80) {
      bytes = bytes.subspan(i + 1);
      return static_cast<std::int64_t>(value);
    }
  }
  return {};
}

}  // namespace blalm
