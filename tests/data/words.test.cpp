#include "data/text/words.h"

#include <doctest/doctest.h>

#include <cstdio>
#include <stdexcept>

#include "data/text/character_class.h"
#include "tests/data/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

// What `wc -w` counts; -1 where the system has none.
std::int64_t wc_words(const std::filesystem::path& file) {
  const std::string command = "LC_ALL=C.UTF-8 wc -w < '" + file.string() + "'";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return -1;
  long long words = -1;
  if (std::fscanf(pipe, "%lld", &words) != 1) words = -1;
  ::pclose(pipe);
  return words;
}

// Word by word, as the definition says.
std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (std::size_t at = 0; at < text.size();) {
    const utf8::CodePoint point = utf8::decode(text, at);
    const std::size_t size = std::max<std::size_t>(point.size, 1);
    const bool space = point.size > 0 && utf8::is_space(point.value);
    if (!space && !in_word) words.emplace_back();
    if (!space) words.back() += text.substr(at, size);
    in_word = !space;
    at += size;
  }
  return words;
}

}  // namespace

TEST_CASE("words are what white space separates") {
  const struct {
    std::string_view text;
    std::int64_t words, invalid_bytes;
  } cases[] = {
      {"", 0, 0},
      {" \t\r\n\v\f", 0, 0},
      {"one", 1, 0},
      {"  two words ", 2, 0},
      {"a\tb\nc\rd\ve\ff", 6, 0},
      {"don't well-known 3,000 —", 4, 0},
      {"no\xC2\xA0"
       "break",
       2, 0},                                       // U+00A0
      {"wide\xE3\x80\x80space", 2, 0},              // U+3000
      {"line\xE2\x80\xA8separator", 2, 0},          // U+2028
      {"next\xC2\x85line", 2, 0},                   // U+0085
      {"zero\xE2\x80\x8Bwidth", 1, 0},              // U+200B is no white space
      {"\x1C\x1D", 1, 0},                           // nor are control characters
      {"\xFF\xFE", 1, 2},                           // invalid bytes are part of a word
      {"a \xC3 b", 3, 1},                           // cut character
      {"\xED\xA0\x80 \xC0\xAF", 2, 5},              // surrogate; overlong form
      {"\xF0\x9F\x98\x80 \xF4\x90\x80\x80", 2, 4},  // an emoji; above U+10FFFF
  };
  for (const auto& c : cases) {
    CAPTURE(c.text);
    CHECK(count_text(c.text).words == c.words);
    CHECK(count_text(c.text).invalid_bytes == c.invalid_bytes);
  }
}

TEST_CASE("words are counted and cut as they are split one by one") {
  Rng rng(1);
  for (int trial = 0; trial < 200; ++trial) {
    const std::string text = random_text(rng, 3);
    const std::vector<std::string> words = split_words(text);
    REQUIRE(count_words(text) == static_cast<std::int64_t>(words.size()));
    for (std::size_t k = 1; k <= words.size(); ++k) {
      const std::string_view kept = std::string_view(text).substr(0, end_of_word(text, static_cast<std::int64_t>(k)));
      REQUIRE(split_words(kept) ==
              std::vector<std::string>(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(k)));
      REQUIRE(kept.ends_with(words[k - 1]));
    }
    CHECK(end_of_word(text, static_cast<std::int64_t>(words.size()) + 1) == text.size());
  }
}

TEST_CASE("stripping leaves everything from the first word to the last") {
  for (const auto& [text, kept] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"", ""},
           {" \t\r\n\v\f", ""},
           {"one", "one"},
           {"  two  words\t", "two  words"},
           {"\xC2\xA0\xE3\x80\x80wide\xE2\x80\xA8\xC2\x85 ", "wide"},
           {"\xE3\x80\x80", ""},
           {"\xE2\x80\x8B zero width \xE2\x80\x8B", "\xE2\x80\x8B zero width \xE2\x80\x8B"},
           {" \xA0 ", "\xA0"},          // the second half of U+00A0 alone is no white space
           {" \xE3\x80 ", "\xE3\x80"},  // nor is a cut U+3000
           {"caf\xC3\xA9\xC2\xA0", "caf\xC3\xA9"}}) {
    const std::string shown(text);  // clang++ 14 captures no structured binding
    CAPTURE(shown);
    CHECK(strip(text) == kept);
  }
  Rng rng(3);
  for (int trial = 0; trial < 200; ++trial) {
    const std::string text = random_text(rng, 2);
    const std::vector<std::string> words = split_words(text);
    const std::string_view kept = strip(text);
    REQUIRE(split_words(kept) == words);
    if (words.empty()) {
      CHECK(kept.empty());
      continue;
    }
    CHECK(kept.starts_with(words.front()));
    CHECK(kept.ends_with(words.back()));
  }
}

TEST_CASE("real text has the words that wc counts") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(samples())) {
    if (entry.path().extension() != ".txt") continue;
    CAPTURE(entry.path().string());
    CHECK(count_words(read_plainly(entry.path())) == wc_words(entry.path()));
    ++files;
  }
  CHECK(files == 4);
}
