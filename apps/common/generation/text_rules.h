// How texts begin and end with a model and its tokenizer, and which tokens may stand in them: the one place for all
// that continues, draws or scores texts.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "models/language_model.h"

namespace blalm {

// From the model's text format (text_format.h). A text begins with bos; without one with eos, which stands before every
// text but the first; without both, with nothing. It ends at bos or eos. No other special token was in the training
// text, so none may come.
// Model folders that declare no format: a text begins with <s> if the tokenizer has it, and any special token but <pad>
// ends it.
class TextRules {
 public:
  // The tokenizer must outlive it. ConfigError when it has more tokens than the model.
  TextRules(const LanguageModel& model, const Tokenizer& tokenizer);

  // The ids of a prompt, after the token that begins a text unless the prompt begins with that itself. An empty prompt
  // without such a token is a line end: what stands before a text where texts are lines and nothing else between them.
  // DataError when the tokenizer has no token for that either.
  std::vector<std::int32_t> prompt_ids(std::string_view prompt) const;

  bool ends_text(std::int32_t id) const;

  // Sets the logits [V] of what never comes to -infinity: ids without a token, and special tokens that end no text. If
  // `ignore_end`, those that end it too.
  void rule_out(std::span<float> logits, bool ignore_end) const;

 private:
  const Tokenizer* tokenizer_;
  std::optional<std::int32_t> begin_;
  std::vector<std::int32_t> ends_;
  std::vector<std::int32_t> never_;
};

}  // namespace blalm
