#include "data/text/words.h"

#include <algorithm>
#include <array>

#include "data/text/character_class.h"

namespace blalm {
namespace {

enum class ByteKind : std::uint8_t { letter, space, beyond_ascii };

constexpr std::array<ByteKind, 256> kKinds = [] {
  std::array<ByteKind, 256> kinds{};
  for (std::size_t byte = 0x80; byte < 256; ++byte) kinds[byte] = ByteKind::beyond_ascii;
  for (const char space : {' ', '\t', '\n', '\v', '\f', '\r'}) kinds[static_cast<std::size_t>(space)] = ByteKind::space;
  return kinds;
}();

// Calls on_end(offset) where a word ends, the end of the text included, until it returns false.
// Returns the number of invalid bytes up to there.
template <class OnEnd>
std::int64_t walk_words(std::string_view text, OnEnd&& on_end) {
  std::int64_t invalid_bytes = 0;
  bool in_word = false;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t size = 1;
    bool space = false;
    switch (kKinds[static_cast<unsigned char>(text[at])]) {
      case ByteKind::letter: break;
      case ByteKind::space: space = true; break;
      case ByteKind::beyond_ascii: {
        const utf8::CodePoint point = utf8::decode(text, at);
        if (point.size == 0) {
          ++invalid_bytes;
        } else {
          size = point.size;
          space = utf8::is_space(point.value);
        }
      }
    }
    if (space && in_word && !on_end(at)) return invalid_bytes;
    in_word = !space;
    at += size;
  }
  if (in_word) on_end(text.size());
  return invalid_bytes;
}

// Whether the bytes [at, at + size) are one character of white space.
bool is_space_at(std::string_view text, std::size_t at, std::size_t size) {
  const utf8::CodePoint point = utf8::decode(text, at);
  return point.size == size && utf8::is_space(point.value);
}

constexpr std::size_t kLongestSpace = 3;  // bytes: U+3000

}  // namespace

TextCounts count_text(std::string_view text) {
  TextCounts counts;
  counts.invalid_bytes = walk_words(text, [&](std::size_t) {
    ++counts.words;
    return true;
  });
  return counts;
}

std::string_view strip(std::string_view text) {
  const auto length_of_space = [&](bool at_end) -> std::size_t {
    for (std::size_t size = 1; size <= std::min(kLongestSpace, text.size()); ++size)
      if (is_space_at(text, at_end ? text.size() - size : 0, size)) return size;
    return 0;
  };
  while (const std::size_t size = length_of_space(false)) text.remove_prefix(size);
  while (const std::size_t size = length_of_space(true)) text.remove_suffix(size);
  return text;
}

std::size_t end_of_word(std::string_view text, std::int64_t words) {
  std::size_t end = text.size();
  walk_words(text, [&](std::size_t at) {
    if (--words > 0) return true;
    end = at;
    return false;
  });
  return words > 0 ? text.size() : end;
}

}  // namespace blalm
