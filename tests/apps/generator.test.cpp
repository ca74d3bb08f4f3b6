#include "apps/common/generation/generator.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "apps/common/generation/text_rules.h"
#include "engine/core/error.h"
#include "models/decode.h"
#include "tests/apps/support.h"

namespace blalm {
namespace {

using testing::small_model;
using testing::small_tokenizer;

GenerateOptions options_of(std::int64_t max_tokens, double temperature = 1) {
  GenerateOptions o;
  o.max_tokens = max_tokens;
  o.sampler = {.temperature = temperature, .top_k = 0, .top_p = 1};
  o.ignore_end = true;
  return o;
}

}  // namespace

TEST_CASE("a prompt alone gives the text that it gives among others, for every kind of state") {
  const Tokenizer tokenizer = small_tokenizer();
  const std::vector<std::string> prompts = {"The cat", "A dog likes the house", "", "My sister lost a ball", "The dog"};
  for (const char* preset : {"mlstm", "full", "hedgehog-swa", "transformer"}) {
    CAPTURE(preset);
    const auto model = small_model(preset, tokenizer.vocab_size());
    for (const Precision precision : {Precision::f32(), Precision::bf16()}) {
      model->run.precision = precision;
      const auto together = generate(*model, tokenizer, prompts, options_of(25));
      for (std::size_t i = 0; i < prompts.size(); ++i) {
        const auto alone = generate(*model, tokenizer, {prompts[i]}, options_of(25));
        CHECK(alone[0].text == together[i].text);
        CHECK(alone[0].tokens == 25);
        CHECK(alone[0].ending == Ending::max_tokens);
      }
    }
  }
}

TEST_CASE("greedy text is the most probable token of the parallel forward pass, again and again") {
  const Tokenizer tokenizer = small_tokenizer();
  for (const char* preset : {"conv", "full", "transformer"}) {
    CAPTURE(preset);
    const auto model = small_model(preset, tokenizer.vocab_size());
    std::vector<std::int32_t> ids = TextRules(*model, tokenizer).prompt_ids("The bird");
    CHECK(ids.front() == tokenizer.token_id("<s>"));
    std::vector<TokenEvent> events;
    GenerateOptions options = options_of(12, 0);
    options.ignore_end = false;
    generate(*model, tokenizer, {"The bird"}, options, [&](const TokenEvent& e) {
      events.push_back(e);
      return true;
    });
    REQUIRE(!events.empty());
    for (const TokenEvent& e : events) {
      Tape tape;
      const auto length = static_cast<std::int64_t>(ids.size());
      const Tensor all = model->logits(tape, Tensor::from_ids({1, length}, ids)).value();
      const Tensor last = all.row(0).row(length - 1);
      std::int32_t best = 0;
      for (std::int32_t v = 1; v < tokenizer.vocab_size(); ++v)
        if (last.at(v) > last.at(best)) best = v;
      CHECK(e.id == best);
      CHECK(e.log_probability == doctest::Approx(log_probability(last.values<float>(), best)).epsilon(1e-3));
      ids.push_back(e.id);
    }
  }
}

TEST_CASE("the same seed gives the same text, another one another; the same prompt twice gives two texts") {
  const Tokenizer tokenizer = small_tokenizer();
  const auto model = small_model("mlstm", tokenizer.vocab_size());
  GenerateOptions options = options_of(20);
  const std::string first = generate(*model, tokenizer, {"The cat"}, options)[0].text;
  CHECK(generate(*model, tokenizer, {"The cat"}, options)[0].text == first);
  const auto twice = generate(*model, tokenizer, {"The cat", "The cat"}, options);
  CHECK(twice[0].text == first);
  CHECK(twice[1].text != first);
  options.seed = 1;
  CHECK(generate(*model, tokenizer, {"The cat"}, options)[0].text != first);
}

TEST_CASE("a text ends at a special token, at a stop string, at the limit, or when it is interrupted") {
  const Tokenizer tokenizer = small_tokenizer();
  const auto model = small_model("mlstm", tokenizer.vocab_size());
  std::map<Ending, int> endings;
  GenerateOptions options = options_of(400);
  options.ignore_end = false;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    options.seed = seed;
    std::vector<TokenEvent> events;
    const GeneratedText text = generate(*model, tokenizer, {"The cat"}, options, [&](const TokenEvent& e) {
      events.push_back(e);
      return true;
    })[0];
    ++endings[text.ending];
    std::string joined;
    for (std::size_t i = 0; i < events.size(); ++i) {
      CHECK(tokenizer.is_special(events[i].id) == (events[i].ending == Ending::end_token));
      CHECK((events[i].ending != Ending::not_yet) == (i + 1 == events.size()));
      joined += events[i].text;
    }
    CHECK(joined == text.text);
    CHECK(static_cast<std::int64_t>(events.size()) == text.tokens);
  }
  CHECK(endings[Ending::end_token] > 0);

  options = options_of(60);
  const std::string whole = generate(*model, tokenizer, {"The cat"}, options)[0].text;
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  std::size_t at = whole.size() / 3;  // bytes that are no text are not shown as they were drawn
  while (!std::ranges::all_of(whole.substr(at, 3), is_ascii)) ++at;
  options.stop = {whole.substr(at, 3)};
  const GeneratedText stopped = generate(*model, tokenizer, {"The cat"}, options)[0];
  CHECK(stopped.ending == Ending::stop_string);
  CHECK(stopped.text == whole.substr(0, whole.find(options.stop[0])));

  int seen = 0;
  const auto interrupted =
      generate(*model, tokenizer, {"The cat", "A dog"}, options_of(50), [&](const TokenEvent&) { return ++seen < 5; });
  CHECK(seen == 5);
  for (const GeneratedText& t : interrupted) CHECK(t.ending == Ending::interrupted);
}

TEST_CASE("a prompt longer than what is read at once is read whole") {
  const Tokenizer tokenizer = small_tokenizer();
  const auto model = small_model("swa", tokenizer.vocab_size());
  const std::string prompt = testing::sentences(150);
  std::vector<std::int32_t> ids = TextRules(*model, tokenizer).prompt_ids(prompt);
  REQUIRE(ids.size() > 600);
  std::int32_t first = -1;
  generate(*model, tokenizer, {prompt}, options_of(1, 0), [&](const TokenEvent& e) {
    first = e.id;
    return true;
  });
  DecodeState state(*model, 1);
  const Tensor logits = prefill(*model, Tensor::from_ids({1, static_cast<std::int64_t>(ids.size())}, ids), state);
  Sampler greedy({.temperature = 0});
  std::vector<float> allowed(logits.values<float>().begin(), logits.values<float>().end());
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    if (tokenizer.is_special(id)) allowed[static_cast<std::size_t>(id)] = -INFINITY;
  CHECK(first == greedy.candidates(allowed)[0].id);
}

TEST_CASE("tokens of prompts and tokens after them are counted and timed apart") {
  const Tokenizer tokenizer = small_tokenizer();
  const auto model = small_model("mlstm", tokenizer.vocab_size());
  std::string longer;
  for (int i = 0; i < 300; ++i) longer += "The cat saw a ball. ";
  const std::vector<std::string> prompts = {longer, "A dog"};
  GenerateSpeed speed;
  generate(*model, tokenizer, prompts, options_of(7), {}, &speed);
  std::size_t read = 0;
  for (const std::string& prompt : prompts) read += TextRules(*model, tokenizer).prompt_ids(prompt).size();
  CHECK(speed.read == static_cast<std::int64_t>(read));
  CHECK(speed.written == 14);
  CHECK(speed.reading > 0);
  CHECK(speed.writing > 0);

  GenerateOptions options = options_of(7);
  int asked = 0;
  options.stop_asked = [&] { return ++asked == 2; };
  GenerateSpeed stopped;
  const auto texts = generate(*model, tokenizer, prompts, options, {}, &stopped);
  for (const GeneratedText& text : texts) CHECK((text.ending == Ending::interrupted && text.tokens == 0));
  CHECK(stopped.read < speed.read);
  CHECK(stopped.written == 0);
}

}  // namespace blalm
