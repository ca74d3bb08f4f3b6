// Where the tests find the build tree, the sources and the golden files.
#pragma once

#include <string>

namespace blalm::testing {

std::string build_folder();   // holds the programs: build_folder() + "/blalm"
std::string source_folder();  // the root of the project
std::string golden_folder();  // tests/golden

}  // namespace blalm::testing
