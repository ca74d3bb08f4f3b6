// Properties of encoding and decoding that hold for any text.
#include <doctest/doctest.h>

#include <ctime>
#include <thread>
#include <vector>

#include "data/tokenizer/encoder.h"
#include "data/tokenizer/tokenizer.h"
#include "engine/core/error.h"
#include "tests/data/tokenizer_support.h"

namespace blalm {
namespace {

using nlohmann::json;
using testing::patched;
using testing::random_bytes;
using testing::tiny_document;
using testing::tiny_tokenizer;
using testing::tokenizer_of;

using Ids = std::vector<std::int32_t>;

std::string streamed(const Tokenizer& tokenizer, const Ids& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const std::int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

TEST_CASE("decoding gives back any bytes, at once and token by token") {
  const Tokenizer tokenizer = tiny_tokenizer();
  std::mt19937_64 random(7);
  for (int round = 0; round < 500; ++round) {
    const std::string text = random_bytes(random, random() % 200);
    const Ids ids = tokenizer.encode(text);
    CHECK(tokenizer.decode(ids, false) == text);
    CHECK(streamed(tokenizer, ids, false) == text);
    const Ids plain = tokenizer.encode(text, {.find_special_tokens = false});
    CHECK(tokenizer.decode(plain, true) == text);  // no special token is there to be skipped
  }
}

TEST_CASE("ranges cover the text in order") {
  const Tokenizer tokenizer = tiny_tokenizer();
  std::mt19937_64 random(8);
  for (int round = 0; round < 200; ++round) {
    const std::string text = random_bytes(random, random() % 200);
    const Encoding encoding = tokenizer.encode_with_ranges(text);
    REQUIRE(encoding.ids == tokenizer.encode(text));
    REQUIRE(encoding.ranges.size() == encoding.ids.size());
    std::size_t at = 0;
    for (std::size_t i = 0; i < encoding.ids.size(); ++i) {
      CHECK(encoding.ranges[i].begin == at);
      at = encoding.ranges[i].end;
      CHECK(text.substr(encoding.ranges[i].begin, at - encoding.ranges[i].begin) ==
            tokenizer.token_bytes(encoding.ids[i]));
    }
    CHECK(at == text.size());
  }
}

std::vector<std::string> covered(const Tokenizer& tokenizer, const std::string& text, bool special = false) {
  std::vector<std::string> parts;
  for (const ByteRange& range : tokenizer.encode_with_ranges(text, {.add_special_tokens = special}).ranges) {
    parts.push_back(text.substr(range.begin, range.end - range.begin));
  }
  return parts;
}

TEST_CASE("ranges point into the text as it came") {
  const json prefixed = {{"type", "ByteLevel"}, {"add_prefix_space", true}};
  const json trimming = {
      {"type", "RobertaProcessing"}, {"cls", {"<s>", 1}}, {"sep", {"</s>", 2}}, {"trim_offsets", true}};
  const json added = json::array({{{"id", 1}, {"content", "<s>"}, {"special", true}, {"rstrip", true}}});
  const Tokenizer tokenizer = tokenizer_of(
      patched(tiny_document(), {{"pre_tokenizer", prefixed}, {"post_processor", trimming}, {"added_tokens", added}}));
  // The space in front is nowhere in the text; <s> takes the spaces after it along.
  CHECK(covered(tokenizer, "the man<s>  and") == std::vector<std::string>{"the", "man", "<s>", "and"});
  CHECK(covered(tokenizer, "the", true) == std::vector<std::string>{"", "the", ""});

  // A character that changes is the source of all that it became.
  const Tokenizer nfkc = tokenizer_of(patched(tiny_document(), {{"normalizer", {{"type", "NFKC"}}}}));
  CHECK(nfkc.decode(nfkc.encode("a\xEF\xAC\x81")) == "afi");
  for (const std::string& part : covered(nfkc, "\xEF\xAC\x81")) CHECK(part == "\xEF\xAC\x81");
  const Tokenizer prepended =
      tokenizer_of(patched(tiny_document(), {{"normalizer", {{"type", "Prepend"}, {"prepend", "zq"}}}}));
  CHECK(covered(prepended, "x") == std::vector<std::string>{"", "", "x"});
}

TEST_CASE("special tokens in text can be found or not, and skipped or not") {
  const Tokenizer tokenizer = tiny_tokenizer();
  CHECK(tokenizer.encode("<s>a") == Ids{1, *tokenizer.token_id("a")});
  const Ids spelled = tokenizer.encode("<s>a", {.find_special_tokens = false});
  CHECK(std::find(spelled.begin(), spelled.end(), 1) == spelled.end());
  CHECK(tokenizer.decode(Ids{1, *tokenizer.token_id("a"), 2}) == "a");
  CHECK(tokenizer.decode(Ids{1, *tokenizer.token_id("a"), 2}, false) == "<s>a</s>");
  CHECK_THROWS_AS(tokenizer.decode(Ids{tokenizer.vocab_size()}), DataError);
  CHECK_THROWS_AS(tokenizer.decode(Ids{-1}), DataError);
}

TEST_CASE("streaming holds an incomplete character back, and only that") {
  const Tokenizer tokenizer = tiny_tokenizer();
  const auto byte_token = [&](char byte) { return tokenizer.encode(std::string(1, byte)).at(0); };
  StreamDecoder decoder(tokenizer);
  CHECK(decoder.push(byte_token('\xF0')).empty());
  CHECK(decoder.push(byte_token('\x9F')).empty());
  CHECK(decoder.push(byte_token('\x98')).empty());
  CHECK(decoder.push(byte_token('\x80')) == "\xF0\x9F\x98\x80");
  CHECK(decoder.push(byte_token('\xC3')).empty());
  CHECK(decoder.push(byte_token('x')) == "\xC3x");  // it never became a character
  CHECK(decoder.push(byte_token('\xC3')).empty());
  CHECK(decoder.finish() == "\xC3");
  CHECK(decoder.finish().empty());
}

TEST_CASE("streaming does what the decoder of the file asks") {
  const json decoder = {{"type", "Sequence"},
                        {"decoders",
                         {{{"type", "ByteLevel"}},
                          {{"type", "Strip"}, {"content", "_"}, {"start", 2}, {"stop", 1}},
                          {{"type", "Replace"}, {"pattern", {{"String", "aab"}}}, {"content", "-"}}}}};
  const Tokenizer tokenizer = tokenizer_of(patched(tiny_document(), {{"decoder", decoder}}));
  CHECK(tokenizer.decode(tokenizer.encode("___xaaab_y__")) == "_xa-_y_");
  std::mt19937_64 random(9);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (std::size_t i = random() % 12; i > 0; --i) text += "_ab"[random() % 3];
    Ids ids;
    for (const char c : text) ids.push_back(tokenizer.encode(std::string(1, c)).at(0));
    CHECK(streamed(tokenizer, ids, true) == tokenizer.decode(ids));
  }
}

TEST_CASE("several threads may encode at once") {
  const Tokenizer tokenizer = tiny_tokenizer();
  std::mt19937_64 random(10);
  std::vector<std::string> texts;
  std::vector<Ids> expected;
  for (int i = 0; i < 200; ++i) {
    texts.push_back(random_bytes(random, 300));
    expected.push_back(tokenizer.encode(texts.back()));
  }
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int& count : wrong) {
    threads.emplace_back([&] {
      Encoder own(tokenizer);
      for (std::size_t i = 0; i < texts.size(); ++i) {
        Ids ids;
        own.append(texts[i], {}, ids);
        count += ids != expected[i] || tokenizer.encode(texts[i]) != expected[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("the cache of words changes nothing when it runs over") {
  const Tokenizer tokenizer = tiny_tokenizer();
  Encoder encoder(tokenizer);
  std::mt19937_64 random(11);
  for (int round = 0; round < 60000; ++round) {
    const std::string word = std::to_string(random());
    Ids first;
    encoder.append(word, {}, first);
    Encoding plain;  // ranges are not cached
    encoder.append(word, {}, plain);
    if (first != plain.ids) FAIL(word);
  }
}

void encode_long(const std::vector<std::string_view>& units, std::size_t size) {
  const Tokenizer tokenizer = tiny_tokenizer();
  for (const std::string_view unit : units) {
    CAPTURE(unit);
    std::string text;
    while (text.size() < size) text += unit;
    CHECK(tokenizer.decode(tokenizer.encode(text), false) == text);
  }
}

TEST_CASE("a long line without a break takes linear time") {
  const auto seconds = [](std::size_t size) {
    const std::clock_t start = std::clock();
    encode_long({"a", " ", "the cat ", "\n", "7", "\xCC\x81", "\x80", "<s>", "\xE4\xBD\xA0"}, size);
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  };
  seconds(10'000);
  CHECK(seconds(1'000'000) < 60 * seconds(50'000) + 1);  // 20 times the text; quadratic would be 400
}

TEST_SUITE("slow") {
  TEST_CASE("a line of 100 MB") { encode_long({"a", "the cat ", "\x80"}, 100'000'000); }
}

}  // namespace
}  // namespace blalm
