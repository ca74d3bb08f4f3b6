#include "blalm/data/tokenizer/utf8.h"

#include <doctest/doctest.h>

#include <set>

#include "blalm/data/tokenizer/byte_level.h"

namespace blalm {
namespace {

TEST_CASE("every character is read as it was written") {
  for (char32_t value = 0; value < 0x110000; ++value) {
    if (value >= 0xD800 && value < 0xE000) continue;
    std::string text;
    utf8::append(value, text);
    const utf8::CodePoint point = utf8::decode(text, 0);
    if (point.value != value || point.size != text.size()) FAIL(value);
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      const std::string_view part = std::string_view(text).substr(0, cut);
      if (utf8::decode(part, 0).size != 0 || utf8::incomplete_suffix(part) != cut) FAIL(value);
    }
    if (utf8::incomplete_suffix(text) != 0) FAIL(value);
  }
}

TEST_CASE("what is not well-formed is no character") {
  for (const std::string_view text : {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF",
                                      "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x80\x80\x80", "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE4\xBD", "\xE4\x41\x41", "\xC3\x28"}) {
    CAPTURE(text);
    CHECK(utf8::decode(text, 0).size == 0);
    CHECK(utf8::valid_prefix(text) == 0);
  }
  CHECK(utf8::incomplete_suffix("abc\xED\xA0") == 0);  // a surrogate: nothing can complete it
  CHECK(utf8::incomplete_suffix("abc\xF5") == 0);
  CHECK(utf8::incomplete_suffix("\x80\x80\x80\x80") == 0);
}

TEST_CASE("any bytes can be shown in one line") {
  CHECK(utf8::printable("caf\xC3\xA9 \"x\"") == "caf\xC3\xA9 \"x\"");
  CHECK(utf8::printable("a\n\t\x7f\x1b") == "a\\n\\x09\\x7f\\x1b");
  CHECK(utf8::printable("\xC3(\xC2\x85") == "\\xc3(\\xc2\\x85");
  CHECK(utf8::beginning("short", 5) == "short");
  CHECK(utf8::beginning("longer", 5) == "longe...");
  CHECK(utf8::beginning("abc\xC3\xA9", 4) == "abc...");
}

TEST_CASE("text is told from bytes") {
  const std::string_view text = "twelve bytes, \xC3\xA9 and \xE4\xBD\xA0\xFF\x80 end";
  const std::size_t valid = utf8::valid_prefix(text);
  CHECK(valid == text.find('\xFF'));
  CHECK(utf8::invalid_prefix(text.substr(valid)) == 2);
  CHECK(utf8::invalid_prefix("a") == 0);
  CHECK(utf8::valid_prefix(text.substr(0, valid)) == valid);
}

TEST_CASE("bytes that are no text become one replacement character a run") {
  CHECK(utf8::made_valid("") == "");
  CHECK(utf8::made_valid("a, é and 你\n") == "a, é and 你\n");
  CHECK(utf8::made_valid("\xFF\x80 one, \xE4\xBD\xE4\xBD\xA0 two, \xC3") == "\uFFFD one, \uFFFD你 two, \uFFFD");
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = utf8::made_valid(std::string(2, static_cast<char>(byte)) + "x");
    CHECK(utf8::valid_prefix(text) == text.size());
  }
}

TEST_CASE("every byte has one character, printable and its own") {
  std::set<char32_t> seen;
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    const char32_t value = byte_level::to_char(static_cast<std::uint8_t>(byte));
    CHECK(value > U' ');
    CHECK(byte_level::to_byte(value) == byte);
    seen.insert(value);
    all += static_cast<char>(byte);
  }
  CHECK(seen.size() == 256);
  CHECK(byte_level::spell("a b\n") == "aĠbĊ");
  CHECK(byte_level::unspell(byte_level::spell(all)) == all);
  CHECK(byte_level::unspell("a b") == std::nullopt);
  CHECK(byte_level::unspell("\xFF") == std::nullopt);
  CHECK(byte_level::unspell("你") == std::nullopt);
}

}  // namespace
}  // namespace blalm
