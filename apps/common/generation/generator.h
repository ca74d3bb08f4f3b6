// Text from a language model: several prompts at once, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/common/generation/sampler.h"
#include "data/tokenizer/tokenizer.h"
#include "models/language_model.h"

namespace blalm {

struct GenerateOptions {
  SamplerOptions sampler;
  std::int64_t max_tokens = 128;
  std::uint64_t seed = 0;
  std::vector<std::string> stop;  // none of them empty
  bool ignore_end = false;        // tokens that end a text may not come
  std::function<bool()>
      stop_asked{};  // may be empty; asked between pieces of a prompt, as on_token is after each token

  Fields fields();  // max-tokens, those of the sampler, seed; refers to this struct
};

enum class Ending { not_yet, end_token, stop_string, max_tokens, interrupted };

// One token of one prompt's text.
struct TokenEvent {
  std::size_t prompt = 0;
  std::int32_t id = 0;
  double log_probability = 0;       // at temperature 1, without filters
  std::string text;                 // what has become certain with it, valid UTF-8
  Ending ending = Ending::not_yet;  // otherwise it is the last of this prompt
};

struct GeneratedText {
  std::string text;  // without the prompt; valid UTF-8 after shown_prompt(), see prompt.h
  std::int64_t tokens = 0;
  Ending ending = Ending::not_yet;
};

// Tokens of prompts that were read and tokens that were drawn, and how long each took in all.
struct GenerateSpeed {
  std::int64_t read = 0, written = 0;
  double reading = 0, writing = 0;  // seconds
};

// Continues each prompt until a token that ends a text (text_rules.h), a stop string or max_tokens. A character that
// max_tokens cuts is left out; one that is cut where the text ends otherwise is U+FFFD.
//
// Each prompt is read by itself and then all go forward together, a batch a step; where a model has attention, which
// knows positions, those of one length do. Prompts whose text has ended leave the batch. What a prompt draws depends on
// the seed, its text and how often it stands in the list before, not on its neighbours: alone it gives the same text.
// Memory does not grow with the tokens (but for the Transformer's keys and values).
//
// `on_token` is told of every token, each prompt's in their order; when it returns false, all stops there. ConfigError
// when the tokenizer has more tokens than the model, DataError for a prompt without any; NumericError for logits that
// are not finite. Adds to `speed`, unless it is null.
std::vector<GeneratedText> generate(LanguageModel& model, const Tokenizer& tokenizer,
                                    const std::vector<std::string>& prompts, const GenerateOptions& options,
                                    const std::function<bool(const TokenEvent&)>& on_token = {},
                                    GenerateSpeed* speed = nullptr);

}  // namespace blalm
