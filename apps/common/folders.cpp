#include "apps/common/folders.h"

#include <fmt/format.h>

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

}  // namespace blalm
