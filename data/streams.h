// Streams of random numbers (core/rng.h) that the data code draws from: one a purpose, so that a seed shared by all
// gives unrelated numbers to each.
#pragma once

#include <cstdint>

namespace blalm {

enum class RandomUse : std::uint64_t { split = 0xDA7A01, shuffle = 0xDA7A02 };

// `index` (a source, an epoch) below 2^32.
constexpr std::uint64_t stream_of(RandomUse use, std::uint64_t index) {
  return static_cast<std::uint64_t>(use) << 32 | index;
}

}  // namespace blalm
