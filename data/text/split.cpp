#include "data/text/split.h"

#include <algorithm>
#include <cmath>

#include "data/streams.h"
#include "engine/core/rng.h"

namespace blalm {

bool HeldOut::contains(std::int64_t line) const { return std::ranges::binary_search(blocks, line / block_lines); }

HeldOut hold_out(std::int64_t lines, double share, std::uint64_t seed, std::int64_t source) {
  HeldOut held;
  if (share <= 0 || lines < 2) return held;
  const auto fair = static_cast<std::int64_t>(static_cast<double>(lines) * share / 4);
  held.block_lines = std::clamp<std::int64_t>(fair, 1, kSplitBlockLines);
  const std::int64_t blocks = (lines + held.block_lines - 1) / held.block_lines;
  const std::int64_t count = std::min<std::int64_t>(std::llround(share * static_cast<double>(blocks)), blocks - 1);
  Rng rng(seed, stream_of(RandomUse::split, static_cast<std::uint64_t>(source)));
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t begin = blocks * i / count, end = blocks * (i + 1) / count;
    held.blocks.push_back(begin + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(end - begin))));
  }
  return held;
}

}  // namespace blalm
