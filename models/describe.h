// A model as a tree in text: names, shapes, roles, counts, bytes, floating-point operations a token.
#pragma once

#include <cstdint>
#include <string>

#include "models/language_model.h"

namespace blalm {

struct DescribeOptions {
  std::int64_t length = 512;  // of the sequences, for operations a token
  bool all_layers = false;    // false: layers like the first are one line
};

// Needs no values: make the model with Values::none to look at a large one.
std::string describe(const LanguageModel& model, const DescribeOptions& options = {});

}  // namespace blalm
