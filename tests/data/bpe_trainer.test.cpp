#include "data/tokenizer/bpe_trainer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "tests/data/tokenizer_support.h"

namespace blalm {
namespace {

using nlohmann::json;

// Lines over few letters, so that counts tie and symbols repeat.
std::vector<std::string> random_lines(std::uint64_t seed, int lines) {
  std::mt19937_64 random(seed);
  std::vector<std::string> texts(static_cast<std::size_t>(lines));
  for (std::string& text : texts) {
    for (std::size_t words = random() % 8; words > 0; --words) {
      for (std::size_t letters = 1 + random() % 7; letters > 0; --letters) text += "aaabcd"[random() % 6];
      text += ' ';
    }
  }
  return texts;
}

std::vector<std::string_view> views(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

std::vector<std::pair<std::string, std::string>> merges_of(const Tokenizer& tokenizer) {
  return json::parse(tokenizer.to_json())["model"]["merges"];
}

// The algorithm in its plainest form: all pairs are counted again after every merge.
std::vector<std::pair<std::string, std::string>> plain_merges(const std::vector<std::string>& lines, std::size_t most,
                                                              int min_frequency) {
  const Tokenizer bytes = train_bpe({}, {});
  std::map<std::string, std::int32_t> ids;
  for (std::int32_t id = 0; id < bytes.vocab_size(); ++id) ids[std::string(bytes.token(id))] = id;
  std::vector<std::vector<std::string>> words;
  for (const std::string& line : lines) {
    std::vector<std::string> word;
    for (std::size_t i = 0; i < line.size(); ++i) {
      if (line[i] == ' ' && !word.empty() && (i + 1 < line.size() || word != std::vector<std::string>{"Ġ"})) {
        words.push_back(std::exchange(word, {}));
      }
      word.push_back(line[i] == ' ' ? "Ġ" : std::string(1, line[i]));
    }
    words.push_back(word);
  }
  std::vector<std::pair<std::string, std::string>> merges;
  while (merges.size() < most) {
    std::map<std::pair<std::int32_t, std::int32_t>, int> counts;
    for (const auto& word : words) {
      for (std::size_t i = 0; i + 1 < word.size(); ++i) ++counts[{ids.at(word[i]), ids.at(word[i + 1])}];
    }
    const auto best = std::max_element(counts.begin(), counts.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best == counts.end() || best->second < min_frequency) break;
    const auto spelling = [&](std::int32_t id) {
      return std::find_if(ids.begin(), ids.end(), [&](const auto& entry) { return entry.second == id; })->first;
    };
    const std::string left = spelling(best->first.first);
    const std::string right = spelling(best->first.second);
    ids.emplace(left + right, static_cast<std::int32_t>(ids.size()));
    merges.emplace_back(left, right);
    for (auto& word : words) {
      for (std::size_t i = 0; i + 1 < word.size(); ++i) {
        if (word[i] != left || word[i + 1] != right) continue;
        word[i] += right;
        word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
  return merges;
}

TEST_CASE("merges are those of the plain algorithm") {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const auto lines = random_lines(seed, 40);
    const Tokenizer tokenizer = train_bpe(views(lines), {.vocab_size = 259 + 60, .min_frequency = 3});
    const auto merges = merges_of(tokenizer);
    const auto plain = plain_merges(lines, merges.size(), 3);
    CHECK(merges.size() > 20);
    CHECK(merges == plain);
  }
}

TEST_CASE("neither threads nor the order of the texts change the result") {
  auto lines = random_lines(99, 5000);
  const int before = num_threads();
  std::set<std::string> results;
  for (const int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    results.insert(train_bpe(views(lines), {.vocab_size = 400}).to_json());
    std::reverse(lines.begin(), lines.end());
  }
  set_num_threads(before);
  CHECK(results.size() == 1);

  BpeTrainer trainer({.vocab_size = 400});  // counted in two calls
  const auto texts = views(lines);
  trainer.count(std::span(texts).first(1234));
  trainer.count(std::span(texts).subspan(1234));
  CHECK(trainer.train().to_json() == *results.begin());
}

TEST_CASE("special tokens come first, then the bytes") {
  const Tokenizer tokenizer = train_bpe({}, {});
  CHECK(tokenizer.vocab_size() == 259);
  CHECK(tokenizer.token_id("<pad>") == 0);
  CHECK(tokenizer.token_id("<s>") == 1);
  CHECK(tokenizer.token_id("</s>") == 2);
  CHECK(tokenizer.token(3) == "!");
  CHECK(tokenizer.is_special(2));
  CHECK_FALSE(tokenizer.is_special(3));
  CHECK(tokenizer.missing_bytes().empty());
}

TEST_CASE("text never makes a special token") {
  const std::vector<std::string_view> texts(100, "<s><s><s> </s>");
  const Tokenizer tokenizer = train_bpe(texts, {.vocab_size = 300});
  const auto ids = tokenizer.encode("<s><s></s>", {.find_special_tokens = false});
  for (const std::int32_t id : ids) CHECK_FALSE(tokenizer.is_special(id));
  CHECK(tokenizer.decode(ids) == "<s><s></s>");
}

TEST_CASE("a vocabulary larger than the text supports ends where pairs end") {
  const std::vector<std::string_view> texts = {"abab", "abab"};
  const Tokenizer tokenizer = train_bpe(texts, {.vocab_size = 10000});
  CHECK(tokenizer.vocab_size() == 261);  // "ab", "abab"
  CHECK(tokenizer.encode("abab").size() == 1);
}

TEST_CASE("a pattern decides what a word is") {
  const std::vector<std::string_view> texts(10, "ab-cd ab-cd");
  CHECK(train_bpe(texts, {.vocab_size = 300}).token_id("b-") == std::nullopt);
  const Tokenizer tokenizer = train_bpe(texts, {.vocab_size = 300, .pattern = R"(\S+|\s+)"});
  CHECK(tokenizer.encode("ab-cd") == std::vector<std::int32_t>{*tokenizer.token_id("ab-cd")});
  CHECK(Tokenizer::from_json(tokenizer.to_json()).encode("ab-cd ab") == tokenizer.encode("ab-cd ab"));
}

TEST_CASE("any bytes can be trained on, in words of any length") {
  std::mt19937_64 random(5);
  std::vector<std::string> texts = {std::string(300'000, 'a'), std::string(1000, '\xFF'), ""};
  for (int i = 0; i < 100; ++i) texts.push_back(testing::random_bytes(random, 200));
  const Tokenizer tokenizer = train_bpe(views(texts), {.vocab_size = 500});
  for (const std::string& text : texts) CHECK(tokenizer.decode(tokenizer.encode(text), false) == text);
  CHECK(tokenizer.encode(texts[0]).size() < 50);
}

TEST_CASE("options that cannot be are errors") {
  CHECK_THROWS_WITH_AS(BpeTrainer({.vocab_size = 100}),
                       "[tokenizer.vocab_size] expected 259 or more, got 100 (special tokens and the 256 bytes)",
                       ConfigError);
  CHECK_THROWS_AS(BpeTrainer({.special_tokens = {"<s>", "<s>"}}), ConfigError);
  CHECK_THROWS_AS(BpeTrainer({.special_tokens = {""}}), ConfigError);
  CHECK_THROWS_AS(BpeTrainer({.special_tokens = {"a"}}), ConfigError);
  CHECK_THROWS_AS(BpeTrainer({.pattern = "("}), FormatError);
}

}  // namespace
}  // namespace blalm
