// Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011). Number i of a stream is a pure function of
// (seed, stream, i), so results do not depend on threads or order, and a position is restored by setting one counter.
#pragma once

#include <array>
#include <cstdint>

#include "engine/core/tensor.h"

namespace blalm {

// Four random words for a 128-bit counter under a 64-bit key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::uint64_t key);

class Rng {
 public:
  explicit Rng(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  // Words 4·index to 4·index + 3 of the stream, whatever its position.
  std::array<std::uint32_t, 4> words(std::uint64_t index) const;
  std::uint32_t next_u32();
  std::uint64_t next_u64() { return (std::uint64_t{next_u32()} << 32) | next_u32(); }
  double uniform();                          // [0, 1), 53 bits
  double normal();                           // N(0, 1)
  std::uint64_t below(std::uint64_t bound);  // [0, bound), unbiased; bound > 0

  // Fills a tensor of any floating dtype.
  void fill_uniform(const Tensor& t, double low, double high);
  void fill_normal(const Tensor& t, double mean, double stddev);

  // Words drawn so far; setting it moves the stream to that position.
  std::uint64_t position() const { return position_; }
  void set_position(std::uint64_t position) { position_ = position; }
  std::uint64_t seed() const { return seed_; }
  std::uint64_t stream() const { return stream_; }

 private:
  std::uint64_t seed_, stream_;
  std::uint64_t position_ = 0;
};

}  // namespace blalm
