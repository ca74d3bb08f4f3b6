// The text that comes with blalm (data/samples), for a first training without any download.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/text/corpus_plan.h"

namespace blalm {

// Where it lies, as seen from the running program: in share/blalm/samples beside it (build tree) or beside its bin
// folder (installed). DataError when it is in neither.
std::filesystem::path samples_folder();

// Entries for data.train or data.valid: the files NAME.train.txt or NAME.valid.txt in a folder, by name.
std::vector<std::string> sample_files(const std::filesystem::path& folder, Part part);

}  // namespace blalm
