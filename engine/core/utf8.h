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

// Whether a terminal obeys the character instead of showing it: controls, and those that turn the direction of text or
// end a line without a line feed.
bool is_control(char32_t value);
// Safe to print, in one line: a line feed as \n, other control characters and invalid bytes as \x1b, characters that
// turn the direction of text as \u202e. What is printable already stays as it is.
std::string printable(std::string_view text);
// The same of several lines: line feeds and tabs stay.
std::string printable_lines(std::string_view text);
// printable() of the beginning, about `most` bytes, with "..." in place of the rest.
std::string beginning(std::string_view text, std::size_t most);

// Any bytes as valid UTF-8, and back to the same bytes: TOML and JSON hold nothing else, but settings and paths may be
// any bytes. An invalid byte b becomes the private-use character U+10FE00 + b. So do the bytes of such a character
// where the text has one, so that the way back is exact.
std::string with_stand_ins(std::string_view bytes);
std::string without_stand_ins(std::string_view text);
inline constexpr char32_t kStandIn = 0x10FE00;

}  // namespace blalm::utf8
