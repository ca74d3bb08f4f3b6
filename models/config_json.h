// config.json of a model folder (design §9): the fields of ModelConfig by their keys, and "model_type".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "blalm/models/config.h"

namespace blalm {

inline constexpr std::string_view kModelType = "blalm";

// An object of one key a line.
std::string to_json(const ModelConfig& config);

// Keys that the text does not have keep their defaults. Adds a line to `problems` for each thing wrong: text that is no
// JSON object, another model_type, unknown keys (with the nearest known one), values of the wrong type or out of
// bounds, fields that contradict each other. The result may be used as long as there are none.
ModelConfig config_from_json(std::string_view text, std::vector<std::string>& problems);
// Throws one ConfigError that lists all problems.
ModelConfig config_from_json(std::string_view text);

}  // namespace blalm
