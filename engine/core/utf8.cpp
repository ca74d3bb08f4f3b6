#include "engine/core/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace blalm::utf8 {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080u;

bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// Bytes of a character by its first byte; 0 for a byte that begins none.
std::size_t size_by_lead(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;  // a continuation byte, or an overlong form of ASCII
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF5 ? 4 : 0;
}

// The second byte is where overlong forms, surrogates and values above U+10FFFF show.
bool second_byte_fits(unsigned char lead, unsigned char second) {
  switch (lead) {
    case 0xE0: return second >= 0xA0 && second <= 0xBF;
    case 0xED: return second >= 0x80 && second <= 0x9F;
    case 0xF0: return second >= 0x90 && second <= 0xBF;
    case 0xF4: return second >= 0x80 && second <= 0x8F;
    default: return is_continuation(second);
  }
}

bool is_stand_in(char32_t value) { return value >= kStandIn + 0x80 && value <= kStandIn + 0xFF; }

std::string shown(std::string_view text, bool lines) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode(text, at);
    const std::size_t size = std::max<std::size_t>(point.size, 1);
    const bool shows =
        point.size > 0 && (!is_control(point.value) || (lines && (text[at] == '\n' || text[at] == '\t')));
    if (shows)
      result += text.substr(at, size);
    else if (text[at] == '\n')
      result += "\\n";
    else if (point.value > 0xFF)
      result += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(point.value));
    else
      for (const char byte : text.substr(at, size))
        result += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    at += size;
  }
  return result;
}

}  // namespace

CodePoint decode(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
  const unsigned char lead = byte(0);
  const std::size_t size = size_by_lead(lead);
  if (size == 1) return {lead, 1};
  if (size == 0 || text.size() - at < size || !second_byte_fits(lead, byte(1))) return {};
  char32_t value = lead & (0x7Fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if (!is_continuation(byte(i))) return {};
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  return {value, size};
}

void append(char32_t value, std::string& text) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | value >> 6);
    put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | value >> 12);
    put(0x80 | (value >> 6 & 0x3F));
    put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | value >> 18);
    put(0x80 | (value >> 12 & 0x3F));
    put(0x80 | (value >> 6 & 0x3F));
    put(0x80 | (value & 0x3F));
  }
}

std::size_t valid_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight = 0;  // most text is ASCII: eight bytes at a time
    if (text.size() - at >= sizeof(eight)) {
      std::memcpy(&eight, text.data() + at, sizeof(eight));
      if ((eight & kHighBits) == 0) {
        at += sizeof(eight);
        continue;
      }
    }
    const std::size_t size = decode(text, at).size;
    if (size == 0) break;
    at += size;
  }
  return at;
}

std::size_t invalid_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && decode(text, at).size == 0) ++at;
  return at;
}

std::size_t incomplete_suffix(std::string_view text) {
  const std::size_t most = std::min<std::size_t>(3, text.size());
  for (std::size_t size = 1; size <= most; ++size) {
    const auto lead = static_cast<unsigned char>(text[text.size() - size]);
    if (is_continuation(lead)) continue;
    if (size_by_lead(lead) <= size) return 0;
    const bool fits = size == 1 || second_byte_fits(lead, static_cast<unsigned char>(text[text.size() - size + 1]));
    return fits ? size : 0;
  }
  return 0;
}

std::string made_valid(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const std::size_t good = valid_prefix(text);
    valid += text.substr(0, good);
    text.remove_prefix(good);
    if (!text.empty()) append(0xFFFD, valid);
    text.remove_prefix(invalid_prefix(text));
  }
  return valid;
}

bool is_control(char32_t value) {
  return value < 0x20 || (value >= 0x7F && value < 0xA0) || value == 0x061C || value == 0x200E || value == 0x200F ||
         (value >= 0x2028 && value <= 0x202E) || (value >= 0x2066 && value <= 0x2069);
}

std::string printable(std::string_view text) { return shown(text, false); }

std::string printable_lines(std::string_view text) { return shown(text, true); }

std::string beginning(std::string_view text, std::size_t most) {
  if (text.size() <= most) return printable(text);
  std::string_view kept = text.substr(0, most);
  kept.remove_suffix(incomplete_suffix(kept));
  return printable(kept) + "...";
}

std::string with_stand_ins(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() + 16);
  for (std::size_t at = 0; at < bytes.size();) {
    const CodePoint point = decode(bytes, at);
    const std::size_t size = std::max<std::size_t>(point.size, 1);
    if (point.size > 0 && !is_stand_in(point.value))
      text += bytes.substr(at, size);
    else
      for (const char byte : bytes.substr(at, size)) append(kStandIn + static_cast<unsigned char>(byte), text);
    at += size;
  }
  return text;
}

std::string without_stand_ins(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = decode(text, at);
    const std::size_t size = std::max<std::size_t>(point.size, 1);
    if (is_stand_in(point.value))
      bytes.push_back(static_cast<char>(point.value - kStandIn));
    else
      bytes += text.substr(at, size);
    at += size;
  }
  return bytes;
}

}  // namespace blalm::utf8
