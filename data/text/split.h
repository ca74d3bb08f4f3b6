// Which lines of a file are held out for validation, when no validation files are given.
#pragma once

#include <cstdint>
#include <vector>

namespace blalm {

// Blocks of neighbouring lines, so that a held-out line has few neighbours in the training text. Of the blocks of a
// file, round(share · blocks) are held out, one in each of as many equal stretches of the file, drawn by seed.
struct HeldOut {
  std::int64_t block_lines = 1;      // lines a block
  std::vector<std::int64_t> blocks;  // those held out, ascending

  bool contains(std::int64_t line) const;  // line from 0
};

inline constexpr std::int64_t kSplitBlockLines = 64;  // fewer in files too short for at least four held-out blocks

// For a file of `lines` lines, number `source` of its corpus. A file of one line is not held out. 0 <= share < 1.
HeldOut hold_out(std::int64_t lines, double share, std::uint64_t seed, std::int64_t source);

}  // namespace blalm
