// Hand-made safetensors files, right and wrong, as byte strings.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace blalm::test {

inline std::string length_bytes(std::uint64_t length) {
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes;
}

// A file with this header, not padded, and this data.
inline std::string safetensors_bytes(std::string_view header, std::string_view data = {}) {
  return length_bytes(header.size()) + std::string(header) + std::string(data);
}

// The elements of an array as they lie in memory.
template <class T, std::size_t n>
std::string raw_bytes(const T (&values)[n]) {
  return {reinterpret_cast<const char*>(values), sizeof values};
}

}  // namespace blalm::test
