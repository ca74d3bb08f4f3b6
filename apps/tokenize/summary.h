// What `blalm tokenize` says at its end.
#pragma once

#include <string>

#include "apps/common/prepared_data.h"

namespace blalm {

// Aligned lines: files, lines, words, bytes, tokens, tokens a word and bytes a token of training and validation text,
// then each file, what was left out, vocabulary and seconds. `data` must hold the report of a preparation.
std::string summary(const ReadyData& data, const DataConfig& config, double seconds);

}  // namespace blalm
