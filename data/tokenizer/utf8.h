// UTF-8 by hand: text comes from files, and files hold anything.
// "Valid" means what Unicode calls well-formed: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace blalm::utf8 {

// What some programs put before a text; at its very beginning it is no part of it.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct CodePoint {
  char32_t value = 0;
  std::size_t size = 0;  // bytes, 1 to 4; 0 where no valid character begins
};

// The character that begins at text[at]; at < text.size().
CodePoint decode(std::string_view text, std::size_t at);
void append(char32_t value, std::string& text);

// Length in bytes of the longest prefix that is valid.
std::size_t valid_prefix(std::string_view text);
// Length of the longest prefix in which no valid character begins.
std::size_t invalid_prefix(std::string_view text);
// Number of bytes at the end (0 to 3) that begin a character which more bytes could still complete.
std::size_t incomplete_suffix(std::string_view text);

// Valid: each longest run of bytes in which no character begins becomes U+FFFD.
std::string made_valid(std::string_view text);

// In one line: control characters and invalid bytes as \n and \x1b.
std::string printable(std::string_view text);
// The same of the beginning, about `most` bytes, with "..." in place of the rest.
std::string beginning(std::string_view text, std::size_t most);

// White_Space of Unicode; letters, marks, digits and connectors, as \s and \w have it.
bool is_space(char32_t value);
bool is_word(char32_t value);

}  // namespace blalm::utf8
