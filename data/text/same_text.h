// Files that hold the same text: named twice, linked, copied, or compressed in another way.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "data/text/byte_reader.h"

namespace blalm {

// For each of the files the index of the first with the same bytes, as they are once decompressed: its own when there
// is none before it. Empty files are like no other. Reads the beginning of each file, and the whole of those whose
// beginnings are alike. DataError for what cannot be read.
std::vector<std::size_t> first_of_same_text(const std::vector<std::filesystem::path>& files, const ReadPulse& pulse);

}  // namespace blalm
