#include "tests/support/paths.h"

namespace blalm::testing {

std::string build_folder() { return BLALM_BUILD_DIR; }
std::string source_folder() { return BLALM_SOURCE_DIR; }
std::string golden_folder() { return source_folder() + "/tests/golden"; }

}  // namespace blalm::testing
