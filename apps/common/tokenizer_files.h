// The files of a tokenizer in a model folder, as other libraries expect them.
#pragma once

#include <map>
#include <string>

#include "data/tokenizer/tokenizer.h"
#include "models/text_format.h"

namespace blalm {

// File name to content.
using TokenizerFiles = std::map<std::string, std::string>;

// tokenizer.json, and tokenizer_config.json with the spelling of the tokens that stand around texts: bos_token,
// eos_token and pad_token, each only where the format has it and the tokenizer spells it.
TokenizerFiles tokenizer_files(const Tokenizer& tokenizer, const TextFormat& format);

}  // namespace blalm
