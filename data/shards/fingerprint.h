// Which tokenizer made a file of tokens: a 128-bit hash of the tokenizer's own content.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace blalm {

struct Fingerprint {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  bool operator==(const Fingerprint&) const = default;
  std::string str() const;  // 32 hexadecimal digits
};

// XXH3-128 of `content`, for a tokenizer the text of its tokenizer.json as the program writes it.
Fingerprint fingerprint_of(std::string_view content);

}  // namespace blalm
