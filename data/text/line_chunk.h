// Lines of a corpus gathered into pieces that are worth sharing among threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/corpus.h"

namespace blalm {

struct LineChunk {
  struct Line {
    Part part;
    std::size_t begin, size;  // in text
    std::int64_t words, bytes;
  };
  std::string text;  // of all lines, one after another
  std::vector<Line> lines;

  std::string_view text_of(const Line& line) const { return std::string_view(text).substr(line.begin, line.size); }
};

inline constexpr std::size_t kChunkBytes = std::size_t{4} << 20;

// Up to kChunkBytes of text, or one line; without lines at the end of the corpus.
LineChunk read_chunk(CorpusReader& reader);

}  // namespace blalm
