#include "apps/common/generation/text_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "engine/core/error.h"

namespace blalm {

TextRules::TextRules(const LanguageModel& model, const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {
  const auto rows = static_cast<std::int32_t>(model.config().vocab_size);
  const std::int32_t tokens = tokenizer.vocab_size();
  if (tokens > rows)
    throw ConfigError(expected_got("tokenizer", fmt::format("at most {} tokens, the rows of the model", rows),
                                   fmt::to_string(tokens), "is this the tokenizer of the model?"));

  const TextFormat& format = model.text_format;
  const std::optional<std::int32_t> pad = format.pad ? format.pad : tokenizer.token_id("<pad>");
  if (format.declared) {
    ends_ = format.eos;
    if (format.bos) ends_.push_back(*format.bos);
    begin_ = format.bos || format.eos.empty() ? format.bos : format.eos[0];
  } else {
    begin_ = tokenizer.token_id("<s>");
    for (std::int32_t id = 0; id < tokens; ++id)
      if (tokenizer.is_special(id) && id != pad) ends_.push_back(id);
  }
  std::ranges::sort(ends_);

  for (std::int32_t id = 0; id < rows; ++id) {
    const bool has_token = id < tokens && !tokenizer.token(id).empty();
    const bool is_text = has_token && !tokenizer.is_special(id) && id != format.pad;
    if (!has_token || (!is_text && !ends_text(id))) never_.push_back(id);
  }
}

bool TextRules::ends_text(std::int32_t id) const { return std::ranges::binary_search(ends_, id); }

std::vector<std::int32_t> TextRules::prompt_ids(std::string_view prompt) const {
  std::vector<std::int32_t> ids = tokenizer_->encode(prompt);
  if (begin_ && (ids.empty() || ids.front() != *begin_)) ids.insert(ids.begin(), *begin_);
  if (ids.empty()) ids = tokenizer_->encode("\n");
  if (ids.empty())
    throw DataError(expected_got("prompt", "one that the tokenizer has a token for",
                                 prompt.empty() ? "none" : "one without",
                                 "no token begins a text of this model, and the line end has none either"));
  return ids;
}

void TextRules::rule_out(std::span<float> logits, bool ignore_end) const {
  const auto rule_out_all = [&](const std::vector<std::int32_t>& ids) {
    for (const std::int32_t id : ids) logits[static_cast<std::size_t>(id)] = -std::numeric_limits<float>::infinity();
  };
  rule_out_all(never_);
  if (ignore_end) rule_out_all(ends_);
}

}  // namespace blalm
