// Folders that a user may name: models and runs (design §9).
#pragma once

#include <filesystem>
#include <string_view>

namespace blalm {

// The model folder that `folder` stands for: itself when it holds a config.json, and for a run folder its last
// checkpoint, last/ (or last.previous/ in the moment in which a trainer replaces it). DataError when it is neither.
std::filesystem::path find_model_folder(const std::filesystem::path& folder);

// What config.toml of a run begins with. Any other is somebody's own.
inline constexpr std::string_view kRunConfigTitle = "# All settings of this run, as they were resolved.\n";
// Whether a run has begun there.
bool is_run(const std::filesystem::path& folder);

}  // namespace blalm
