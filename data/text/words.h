// Words as BabyLM counts them: what white space separates. White space is Unicode's White_Space, so a count is that of
// `wc -w` in a UTF-8 locale and of Python's str.split() on text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace blalm {

struct TextCounts {
  std::int64_t words = 0;
  std::int64_t invalid_bytes = 0;  // that belong to no well-formed UTF-8 character; they count as part of a word
};

TextCounts count_text(std::string_view text);
inline std::int64_t count_words(std::string_view text) { return count_text(text).words; }

// Without the white space at both ends.
std::string_view strip(std::string_view text);

// Offset of the first byte after word number `words` (1 or more); text.size() when there are fewer.
std::size_t end_of_word(std::string_view text, std::int64_t words);

}  // namespace blalm
