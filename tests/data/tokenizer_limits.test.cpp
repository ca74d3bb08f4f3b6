// Time and memory that a tokenizer file asks for: an error beyond bounds with a name, never a crash or a hang.
#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "data/tokenizer/limits.h"
#include "data/tokenizer/tokenizer.h"
#include "engine/core/error.h"
#include "tests/data/tokenizer_support.h"

namespace blalm {
namespace {

using nlohmann::json;
using testing::format_error_of;
using testing::patched;
using testing::tiny_document;
using testing::tokenizer_of;

std::string error_of_file(const json& patch) {
  const std::string text = patched(tiny_document(), patch).dump();
  return format_error_of([&] { Tokenizer::from_json(text, "t.json"); });
}

json sequence(const char* list, std::size_t count, const json& step, const json& first = nullptr) {
  json steps = json::array();
  if (!first.is_null()) steps.push_back(first);
  for (std::size_t i = 0; i < count; ++i) steps.push_back(step);
  return {{"type", "Sequence"}, {list, steps}};
}

const json kByteLevel = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
const json kSplit = {{"type", "Split"}, {"pattern", {{"String", "x"}}}, {"behavior", "Isolated"}};

json replace(const std::string& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", {{"String", pattern}}}, {"content", content}};
}

TEST_CASE("steps without end are an error in every part of a file, not a crash") {
  const json strip = {{"type", "Strip"}, {"content", "x"}, {"start", 1}, {"stop", 0}};
  const json special = {{"type", "ByteLevel"}};
  const json pre = sequence("pretokenizers", 1'000, kSplit, kByteLevel);
  CHECK(error_of_file({{"pre_tokenizer", pre}}) == "[t.json: pre_tokenizer] expected at most 256 steps, got more");
  CHECK(error_of_file({{"normalizer", sequence("normalizers", 1'000, {{"type", "NFC"}})}}) ==
        "[t.json: normalizer] expected at most 256 steps, got more");
  CHECK(error_of_file({{"decoder", sequence("decoders", 1'000, strip, kByteLevel)}}) ==
        "[t.json: decoder] expected at most 256 steps, got more");
  CHECK(error_of_file({{"post_processor", sequence("processors", 1'000, special)}}) ==
        "[t.json: post_processor] expected at most 256 steps, got more");
  // In halves it is as many, and as many as are allowed work.
  const json half = sequence("pretokenizers", kMaxSteps / 2, kSplit);
  const json halves = {{"type", "Sequence"}, {"pretokenizers", {half, half, kByteLevel}}};
  CHECK(error_of_file({{"pre_tokenizer", halves}}) == "[t.json: pre_tokenizer] expected at most 256 steps, got more");
  const Tokenizer most = tokenizer_of(
      patched(tiny_document(), {{"pre_tokenizer", sequence("pretokenizers", kMaxSteps - 1, kSplit, kByteLevel)}}));
  const std::string text = "the x and xx ";
  CHECK(most.decode(most.encode(text)) == text);
}

TEST_CASE("rules that multiply a text are an error before it is long") {
  const std::string ten(10, 'a');
  const std::string thousand(1000, 'a');
  const std::string end = "expected steps that make at most 64 times a text and 65536 bytes of it, got more of ";
  const std::vector<json> normalizers = {
      sequence("normalizers", 12, replace("a", ten)),
      sequence("normalizers", 200, {{"type", "Prepend"}, {"prepend", thousand}}),
      sequence("normalizers", 12, {{"type", "Replace"}, {"pattern", {{"Regex", "[a&&a]"}}}, {"content", ten}}),
      sequence("normalizers", 12, {{"type", "Replace"}, {"pattern", {{"Regex", "(?=a)"}}}, {"content", thousand}}),
      sequence("normalizers", 40, replace("a", "aa")),
  };
  for (const json& normalizer : normalizers) {
    CAPTURE(normalizer.dump().substr(0, 200));
    const Tokenizer tokenizer = Tokenizer::from_json(
        patched(tiny_document(), {{"normalizer", normalizer}, {"added_tokens", json::array()}}).dump(), "t.json");
    for (const bool with_ranges : {false, true}) {
      const std::string error =
          format_error_of([&] { with_ranges ? void(tokenizer.encode_with_ranges("aaa")) : void(tokenizer.encode("aaa")); });
      CHECK(error == "[t.json: normalizer] " + end + "3 bytes");
    }
  }
  // What is within bounds stays: 1,000 times a short text, 40 times a long one.
  const json within = sequence("normalizers", 1, replace("a", thousand));
  const Tokenizer short_text = tokenizer_of(patched(tiny_document(), {{"normalizer", within}}));
  CHECK(short_text.decode(short_text.encode("aba")) == thousand + "b" + thousand);
  const json forty = sequence("normalizers", 1, replace("a", std::string(40, 'a')));
  const Tokenizer long_text = tokenizer_of(patched(tiny_document(), {{"normalizer", forty}}));
  CHECK(long_text.decode(long_text.encode(std::string(10'000, 'a'))) == std::string(400'000, 'a'));

  const Tokenizer decoding = Tokenizer::from_json(
      patched(tiny_document(), {{"decoder", sequence("decoders", 12, replace("a", ten), kByteLevel)}}).dump(),
      "t.json");
  const auto ids = decoding.encode("aaa");
  CHECK(format_error_of([&] { decoding.decode(ids); }).starts_with("[t.json: decoder] " + end));
  CHECK(format_error_of([&] {
          StreamDecoder stream(decoding);
          for (const std::int32_t id : ids) stream.push(id);
          stream.finish();
        }).starts_with("[t.json: decoder] " + end));
}

TEST_CASE("strings that are searched for, and tokens put around a text, have a bound") {
  const std::string longest(kMaxLiteral, 'a');
  const auto added = [](const std::string& content, bool normalized) {
    return json::array({{{"id", 700}, {"content", content}, {"normalized", normalized}}});
  };
  json split = kSplit;
  split["pattern"]["String"] = longest + "a";
  CHECK(error_of_file({{"pre_tokenizer", sequence("pretokenizers", 1, split, kByteLevel)}}) ==
        "[t.json: pre_tokenizer.pretokenizers[1].pattern.String] expected a string of at most 1024 bytes, got a string "
        "of 1025 bytes");
  CHECK(error_of_file({{"normalizer", replace(longest + "a", "")}})
            .starts_with("[t.json: normalizer.pattern.String] expected a string of at most 1024 bytes"));
  CHECK(error_of_file({{"decoder", sequence("decoders", 1, replace(longest + "a", ""), kByteLevel)}})
            .starts_with("[t.json: decoder.decoders[1].pattern.String] expected a string of at most 1024 bytes"));
  CHECK(error_of_file({{"added_tokens", added(longest + "a", false)}})
            .starts_with("[t.json: added_tokens[0].content] expected a string of at most 1024 bytes"));
  CHECK(
      error_of_file({{"added_tokens", added("zq", true)}, {"normalizer", replace("zq", longest + "a")}})
          .starts_with("[t.json: added_tokens] expected strings of at most 1024 bytes after normalization, got 1025"));

  const Tokenizer tokenizer = tokenizer_of(patched(tiny_document(), {{"added_tokens", added(longest, false)}}));
  const std::string text = std::string(200'000, 'a') + "b";  // every place may begin the token
  CHECK(tokenizer.decode(tokenizer.encode(text)) == text);

  json around = {{"type", "TemplateProcessing"}, {"single", json::array()}};
  for (int i = 0; i < 2000; ++i) around["single"].push_back({{"SpecialToken", {{"id", "x"}, {"type_id", 0}}}});
  around["special_tokens"]["x"]["ids"] = std::vector<int>(2000, 1);
  CHECK(error_of_file({{"post_processor", around}})
            .starts_with("[t.json: post_processor.single] expected at most 1024 special tokens in all"));
}

}  // namespace
}  // namespace blalm
