// What a tokenizer file may ask for. Files come from anywhere, and time and memory are not theirs to choose: these
// bounds lie far above what real files have.
#pragma once

#include <cstddef>

namespace blalm {

// Steps of a normalizer, pre-tokenizer, post-processor or decoder; real files have up to a dozen.
inline constexpr std::size_t kMaxSteps = 256;
// Bytes of a string that is searched for: an added token, a pattern that is no regular expression.
inline constexpr std::size_t kMaxLiteral = 1024;
// Bytes of a regular expression; real ones have up to 4,000. Groups in groups: reading them recurses.
inline constexpr std::size_t kMaxPattern = std::size_t{64} << 10;
inline constexpr unsigned kMaxPatternDepth = 256;
// Special tokens put around a text.
inline constexpr std::size_t kMaxAround = 1024;

// What all steps together may make of a text: a character becomes up to 18 by NFKD.
inline constexpr std::size_t kMaxGrowth = 64;                    // times
inline constexpr std::size_t kMaxAdded = std::size_t{64} << 10;  // and bytes
constexpr std::size_t longest_made_of(std::size_t bytes) { return bytes * kMaxGrowth + kMaxAdded; }

}  // namespace blalm
