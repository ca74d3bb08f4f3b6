#include "data/text/samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "engine/core/error.h"

namespace blalm {

namespace fs = std::filesystem;

fs::path samples_folder() {
  std::error_code ignored;
  const fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const fs::path& root : {here, here.parent_path()}) {
    const fs::path folder = root / "share" / "blalm" / "samples";
    if (fs::is_directory(folder, ignored)) return folder;
  }
  throw DataError(expected_got(
      "data",
      fmt::format("the text that comes with blalm in '{}'", (here.parent_path() / "share/blalm/samples").string()),
      "none", "name your own with --data.train"));
}

std::vector<std::string> sample_files(const fs::path& folder, Part part) {
  std::vector<std::string> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().string();
    if (name.ends_with(fmt::format(".{}.txt", name_of(part)))) files.push_back(name);
  }
  if (files.empty())
    throw DataError(
        expected_got("data", fmt::format("*.{}.txt files in '{}'", name_of(part), folder.string()), "none"));
  std::ranges::sort(files);
  return files;
}

}  // namespace blalm
