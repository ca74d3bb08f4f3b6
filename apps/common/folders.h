// Folders that a user may name where a model is asked for (design §9).
#pragma once

#include <filesystem>

namespace blalm {

// The model folder that `folder` stands for: itself when it holds a config.json, and for a run folder its last
// checkpoint, last/ (or last.previous/ in the moment in which a trainer replaces it). DataError when it is neither.
std::filesystem::path find_model_folder(const std::filesystem::path& folder);

}  // namespace blalm
