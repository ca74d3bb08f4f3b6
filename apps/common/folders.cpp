#include "apps/common/folders.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <system_error>

#include "engine/core/error.h"

namespace blalm {

namespace fs = std::filesystem;

fs::path find_model_folder(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::path& candidate : {folder, folder / "last", folder / "last.previous"})
    if (fs::is_regular_file(candidate / "config.json", ignored)) return candidate;
  const char* got = "no such folder";
  if (fs::is_directory(folder, ignored))
    got = "one without config.json or last/";
  else if (fs::exists(folder, ignored))
    got = "a file";
  throw DataError(expected_got("model", fmt::format("a model folder or a run folder '{}'", folder.string()), got));
}

bool is_run(const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto holds = [&](const char* name) { return std::filesystem::exists(folder / name, ignored); };
  if (!holds("config.toml")) return false;
  if (std::ranges::any_of(std::array{"log.txt", "run.json", "last"}, holds)) return true;
  std::string title;  // of a run that was killed before it wrote more
  std::getline(std::ifstream(folder / "config.toml", std::ios::binary), title);
  return title + '\n' == kRunConfigTitle;
}

}  // namespace blalm
