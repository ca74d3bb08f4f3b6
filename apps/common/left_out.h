// What the preparation of text has left out, in words.
#pragma once

#include <string>
#include <vector>

#include "apps/common/prepared_data.h"

namespace blalm {

// A sentence each for blank lines, files without words, texts that came before, and entries of folders that are no text
// by their names; none of data that was prepared before.
std::vector<std::string> what_was_left_out(const ReadyData& data);

}  // namespace blalm
