#include "data/tokenizer/byte_level.h"

#include <array>
#include <cstddef>

#include "data/text/character_class.h"

namespace blalm::byte_level {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

constexpr int kShifted = 68;  // bytes that take a character above U+00FF

struct Alphabet {
  std::array<char32_t, 256> chars{};
  std::array<std::int16_t, 256 + kShifted> bytes{};  // -1: no byte has this character
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet;
  for (auto& byte : alphabet.bytes) byte = -1;
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char32_t value = stands_for_itself(byte) ? byte : next++;
    alphabet.chars[byte] = value;
    alphabet.bytes[value] = static_cast<std::int16_t>(byte);
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();
static_assert(kAlphabet.chars[' '] == 0x120 && kAlphabet.chars['\n'] == 0x10A);

}  // namespace

char32_t to_char(std::uint8_t byte) { return kAlphabet.chars[byte]; }

std::optional<std::uint8_t> to_byte(char32_t value) {
  if (value >= kAlphabet.bytes.size() || kAlphabet.bytes[value] < 0) return std::nullopt;
  return static_cast<std::uint8_t>(kAlphabet.bytes[value]);
}

std::string spell(std::string_view bytes) {
  std::string spelling;
  spell(bytes, spelling);
  return spelling;
}

void spell(std::string_view bytes, std::string& spelling) {
  spelling.clear();
  for (const char byte : bytes) utf8::append(to_char(static_cast<std::uint8_t>(byte)), spelling);
}

std::optional<std::string> unspell(std::string_view spelling) {
  std::string bytes;
  for (std::size_t at = 0; at < spelling.size();) {
    const utf8::CodePoint point = utf8::decode(spelling, at);
    const auto byte = point.size > 0 ? to_byte(point.value) : std::nullopt;
    if (!byte) return std::nullopt;
    bytes.push_back(static_cast<char>(*byte));
    at += point.size;
  }
  return bytes;
}

}  // namespace blalm::byte_level
