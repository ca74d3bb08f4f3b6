#include "data/tokenizer/byte_level.h"

#include <doctest/doctest.h>

#include <set>

namespace blalm {
namespace {

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
