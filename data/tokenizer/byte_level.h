// The byte-level alphabet of GPT-2: every byte has one printable character, so that any text is spelled in 256 symbols
// and tokens can be kept as readable strings. Printable Latin-1 bytes stand for themselves; the other 68 take the
// characters from U+0100 on, in order: space is Ġ (U+0120), newline is Ċ (U+010A).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace blalm::byte_level {

char32_t to_char(std::uint8_t byte);
std::optional<std::uint8_t> to_byte(char32_t value);

// Bytes to their spelling: "a b" to "aĠb".
std::string spell(std::string_view bytes);
void spell(std::string_view bytes, std::string& spelling);  // the same into `spelling`, replacing it
// The bytes that a spelling stands for; nothing when it holds a character outside the alphabet.
std::optional<std::string> unspell(std::string_view spelling);

}  // namespace blalm::byte_level
