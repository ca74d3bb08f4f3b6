#include "engine/core/utf8.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

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

TEST_CASE("any bytes go through text and come back") {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes;
    while (random() % 8 != 0) {
      if (random() % 2 == 0)
        bytes += static_cast<char>(random());
      else
        utf8::append(random() % 4 == 0 ? 0x10FE00 + random() % 0x200 : random() % 0xD800, bytes);
    }
    const std::string text = utf8::with_stand_ins(bytes);
    if (utf8::valid_prefix(text) != text.size() || utf8::without_stand_ins(text) != bytes) FAIL(utf8::printable(bytes));
  }
  CHECK(utf8::with_stand_ins("plain \xC3\xA9\n") == "plain \xC3\xA9\n");
}

TEST_CASE("what is printed holds nothing that a terminal obeys") {
  for (char32_t value = 0; value < 0x110000; ++value) {
    if (value >= 0xD800 && value < 0xE000) continue;
    std::string text;
    utf8::append(value, text);
    const std::string line = utf8::printable(text);
    if ((line == text) == utf8::is_control(value)) FAIL(value);
    if (utf8::printable(line) != line) FAIL(value);  // idempotent: messages are made of messages
    if ((utf8::printable_lines(text) == text) != (!utf8::is_control(value) || value == '\n' || value == '\t'))
      FAIL(value);
  }
  CHECK(utf8::printable("\u202Eevil\u2069 \u2028") == "\\u202eevil\\u2069 \\u2028");
  CHECK(utf8::printable_lines("a\n\tb\x1b[2J\r\xff") == "a\n\tb\\x1b[2J\\x0d\\xff");
}

}  // namespace
}  // namespace blalm
