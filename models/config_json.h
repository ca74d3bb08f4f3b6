// config.json of a model folder (design §9): the fields of ModelConfig by their keys, and "model_type".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/config.h"
#include "models/text_format.h"

namespace blalm {

inline constexpr std::string_view kModelType = "blalm";

// An object of one key a line. The keys of the text format come last, if it is declared.
std::string to_json(const ModelConfig& config, const TextFormat& format = {});

// Adds a line to `problems` for each thing wrong: text that is no JSON object, another model_type, unknown keys (with
// the nearest known one), missing keys, values of the wrong type or out of bounds, fields that contradict each other.
// The keys of the definition in PyTorch (spec §2) must be there; those of documented alternatives, which it does not
// know, have its choices as their defaults. The result is empty when the values do not make a config; unknown keys
// alone leave one. What the keys of the text format say goes into `format`, unless it is null; they may be missing.
std::optional<ModelConfig> config_from_json(std::string_view text, std::vector<std::string>& problems,
                                            TextFormat* format = nullptr);
// Throws one FormatError that lists all problems; `where` says what the text is.
ModelConfig config_from_json(std::string_view text, std::string_view where = "config.json");

}  // namespace blalm
