// Text from a model in training, for the log.
#pragma once

#include <cstdint>
#include <string>

#include "blalm/data/tokenizer/tokenizer.h"
#include "blalm/models/language_model.h"

namespace blalm {

// The prompt and `tokens` tokens after it, drawn at temperature 0.8; line breaks become spaces. The same seed draws the
// same numbers at every call, so that samples of different steps can be compared.
std::string sample(LanguageModel& model, const Tokenizer& tokenizer, const std::string& prompt, std::int64_t tokens,
                   std::uint64_t seed);

}  // namespace blalm
