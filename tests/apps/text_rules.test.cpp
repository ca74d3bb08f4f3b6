// How texts begin and end, and which tokens may stand in them.
#include "apps/common/generation/text_rules.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/common/generation/generator.h"
#include "engine/core/error.h"
#include "tests/apps/support.h"

namespace blalm {
namespace {

using testing::small_model;
using testing::small_tokenizer;
using Ids = std::vector<std::int32_t>;

// <pad> <s> </s> <mask> are 0 to 3; a token that is not special comes after a gap in the ids.
Tokenizer with_holes() {
  nlohmann::json document = nlohmann::json::parse(small_tokenizer({"<pad>", "<s>", "</s>", "<mask>"}).to_json());
  document["added_tokens"].push_back({{"id", 900}, {"content", "<late>"}, {"special", false}});
  return Tokenizer::from_json(document.dump());
}

std::vector<TextFormat> formats() {
  return {{true, 1, {}, 0}, {true, 1, {2}, {}}, {true, {}, {2}, {}}, {true, {}, {2, 3}, {}}, {true, {}, {}, 0}, {}};
}

std::set<std::int32_t> ends_of(const TextFormat& format) {
  if (!format.declared) return {1, 2, 3};
  std::set<std::int32_t> ends(format.eos.begin(), format.eos.end());
  if (format.bos) ends.insert(*format.bos);
  return ends;
}

}  // namespace

TEST_CASE("no id without a token and no special token that ended no training text is ever drawn") {
  const Tokenizer tokenizer = with_holes();
  REQUIRE(tokenizer.vocab_size() == 901);
  const auto model = small_model("mlstm", tokenizer.vocab_size() + 100);
  for (const TextFormat& format : formats()) {
    model->text_format = format;
    const TextRules rules(*model, tokenizer);
    const std::set<std::int32_t> ends = ends_of(format);
    for (const bool ignore_end : {false, true}) {
      std::vector<float> logits(1001, 1.0F);
      rules.rule_out(logits, ignore_end);
      for (std::int32_t id = 0; id < 1001; ++id) {
        const bool has_token = id < 300 || id == 900, is_special = id < 4;
        const bool may_come = has_token && (!is_special || (ends.contains(id) && !ignore_end));
        CHECK_MESSAGE((logits[static_cast<std::size_t>(id)] == 1) == may_come, id);
      }
      GenerateOptions options{.sampler = {.temperature = 3, .top_k = 0, .top_p = 1}, .max_tokens = 60, .stop = {}};
      options.ignore_end = ignore_end;
      std::int64_t drawn = 0;
      generate(*model, tokenizer, {"The cat", "A dog", "", "My sister", "x"}, options, [&](const TokenEvent& e) {
        ++drawn;
        CHECK_FALSE(tokenizer.token(e.id).empty());
        CHECK(std::isfinite(e.log_probability));
        if (e.id < 4) CHECK((ends.contains(e.id) && e.ending == Ending::end_token));
        return true;
      });
      CHECK((ignore_end ? drawn == 300 : drawn > 5));
    }
  }
}

TEST_CASE("a token that the model declares as an end ends the text, special or not") {
  const Tokenizer tokenizer = with_holes();
  const auto model = small_model("mlstm", tokenizer.vocab_size());
  const std::int32_t space = tokenizer.encode("The cat saw")[1];
  REQUIRE_FALSE(tokenizer.is_special(space));
  model->text_format = {true, 1, {900, space}, 42};
  const TextRules rules(*model, tokenizer);
  CHECK(rules.ends_text(900));
  CHECK(rules.ends_text(space));
  CHECK(rules.ends_text(1));
  CHECK_FALSE(rules.ends_text(2));
  std::vector<float> logits(901, 1.0F);
  rules.rule_out(logits, false);
  CHECK(logits[900] == 1);
  CHECK(logits[42] == -INFINITY);
}

TEST_CASE("a prompt begins with what began a text in training, and with nothing that did not") {
  const Tokenizer tokenizer = with_holes();
  const auto model = small_model("mlstm", tokenizer.vocab_size());
  const Ids words = tokenizer.encode("The cat"), line_end = tokenizer.encode("\n");
  const auto after = [&](std::int32_t id) {
    Ids ids = words;
    ids.insert(ids.begin(), id);
    return ids;
  };
  for (const TextFormat& format : formats()) {
    model->text_format = format;
    const TextRules rules(*model, tokenizer);
    const std::int32_t begin = !format.declared || format.bos ? 1 : format.eos.empty() ? -1 : format.eos[0];
    CHECK(rules.prompt_ids("The cat") == (begin < 0 ? words : after(begin)));
    CHECK(rules.prompt_ids("") == (begin < 0 ? line_end : Ids{begin}));
    if (begin == 1) CHECK(rules.prompt_ids("<s>The cat") == after(1));  // not twice
  }
}

TEST_CASE("an empty prompt without anything to begin with is an error; a tokenizer larger than the model too") {
  const Tokenizer plain = small_tokenizer({"<pad>"});
  const auto model = small_model("mlstm", plain.vocab_size());
  CHECK(TextRules(*model, plain).prompt_ids("The cat") == plain.encode("The cat"));
  CHECK(TextRules(*model, plain).prompt_ids("") == plain.encode("\n"));
  nlohmann::json document = nlohmann::json::parse(plain.to_json());
  document["model"]["vocab"].erase("Ċ");  // the byte of a line end
  const Tokenizer without = Tokenizer::from_json(document.dump());
  CHECK_THROWS_AS(TextRules(*model, without).prompt_ids(""), DataError);
  CHECK_THROWS_AS(TextRules(*model, without).prompt_ids("\n"), DataError);
  CHECK_THROWS_AS(TextRules(*small_model("mlstm", 280), plain), ConfigError);
}

}  // namespace blalm
