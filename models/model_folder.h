// A model on disk (design §9): a folder with model.safetensors and config.json.
#pragma once

#include <filesystem>
#include <memory>

#include "models/language_model.h"

namespace blalm {

// Writes both files, each atomically, into a folder that is made when it does not exist. stored_as: f32, bf16 or f64.
// A tied head is not stored: it is the embedding. Throws DataError when something cannot be written.
void save_model(const LanguageModel& model, const std::filesystem::path& folder, DType stored_as = DType::f32);

// DataError or FormatError when a file cannot be read. One FormatError lists everything that does not fit: unknown,
// missing or bad config keys, and, where the keys make a config at all, missing tensors, extra ones and those of
// another shape.
std::unique_ptr<LanguageModel> load_model(const std::filesystem::path& folder, DType dtype = DType::f32);

// The config of a model folder, without its weights. Throws DataError, or one FormatError that lists all problems.
ModelConfig load_config(const std::filesystem::path& folder);

}  // namespace blalm
