// What attention by tiles works with, forward and backward. Scores lie transposed, a key a row and a query a
// column: then what belongs to a query (its maximum, its sum, lse) is a lane of a vector, and no sum runs across lanes.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <limits>

#include "engine/kernels/attention.h"
#include "engine/kernels/tiles/gemm.h"
#include "engine/kernels/tiles/rows.h"
#include "engine/kernels/tiles/tiles.h"

namespace blalm::kernels::tiles {

inline constexpr std::int64_t kQueries = 64;  // most queries of a block
inline constexpr std::int64_t kColumns = kQueries / kBlock;
inline constexpr std::int64_t kPending = 8;  // key blocks whose products with a block of queries are taken at once

// Work space from the pool.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::int64_t size)
      : tensor_(Tensor::empty({std::max<std::int64_t>(size, 1)}, dtype_of<T>)), data_(tensor_.mutable_data<T>()) {}
  T* data() const { return data_; }

 private:
  Tensor tensor_;
  T* data_;
};

// c (+)= Σ left · right over the steps, 32 x 32, rows of c `stride` apart. Both operands are packed; a step is
// `left_step` or `right_step` elements on.
inline void multiply_block(const BlockMultiplier& multiply, const BFloat16* left, std::int64_t left_step,
                           const BFloat16* right, std::int64_t right_step, std::int64_t steps, float* c,
                           std::int64_t stride, bool add) {
  multiply({left, left_step, kTile, kDepth, right, right_step, steps, true}, c, stride, add);
}

// Rows of results from tile order: `rows` rows of `cols` columns, `stride` apart, of which 32 stand in a piece.
inline void unpack_rows(const BFloat16* from, BFloat16* to, std::int64_t rows, std::int64_t cols, std::int64_t stride) {
  const std::int64_t steps = blocks(cols);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t s = 0; s < steps; ++s)
      std::copy_n(from + (r / kBlock * steps + s) * kPiece + r % kBlock * kDepth, std::min(kDepth, cols - s * kDepth),
                  to + r * stride + s * kDepth);
}

// Blocks of 32 keys.
struct KeyBlocks {
  std::int64_t memory_end, window_begin, end;  // [0, memory_end) and [window_begin, end)

  // Those that the queries at positions [begin, end) see something of.
  KeyBlocks(const Band& band, std::int64_t begin, std::int64_t end_position)
      : memory_end(0), window_begin(band.visible(begin).window_begin / kBlock), end(blocks(end_position)) {
    memory_end = std::min(blocks(band.visible(begin).memory_end), window_begin);
  }
  std::int64_t count() const { return memory_end + end - window_begin; }
  // The place of a block among these.
  std::int64_t slot(std::int64_t block) const { return block < memory_end ? block : block - window_begin + memory_end; }
  template <class F>
  void for_each(F&& f) const {
    for (std::int64_t block = 0; block < memory_end; ++block) f(block);
    for (std::int64_t block = window_begin; block < end; ++block) f(block);
  }
};

// A block of queries: `rows` from position `begin` on, in columns of 32.
struct QueryBlock {
  std::int64_t begin, rows;

  std::int64_t columns() const { return blocks(rows); }
};

struct Span {
  std::int64_t begin = 0, end = 0;

  bool empty() const { return begin >= end; }
  std::int64_t count() const { return end - begin; }
  // Grows to take in piece i of `pieces`; those that it passes over count as zeros.
  void include(std::int64_t i, BFloat16* pieces) {
    if (empty()) begin = end = i;
    std::fill(pieces + end * kPiece, pieces + i * kPiece, BFloat16());
    end = i + 1;
  }
};

// The columns that see something of a key block.
inline Span columns_of(const Band& band, std::int64_t block, const QueryBlock& queries) {
  const std::int64_t first_key = block * kBlock, columns = queries.columns();
  Span span{std::max<std::int64_t>(0, first_key - queries.begin) / kBlock, columns};
  if (band.window == 0 || first_key < band.memory) return span;
  // The last key is in the window of as many positions.
  const std::int64_t behind = queries.begin - (first_key + kBlock - 1);
  span.end = behind >= band.window ? 0 : std::min(columns, (band.window - 1 - behind) / kBlock + 1);
  return span;
}

// Whether each query of a column sees each key of the block.
inline bool sees_all(const Band& band, std::int64_t block, std::int64_t position) {
  const std::int64_t first_key = block * kBlock, last_key = first_key + kBlock - 1;
  if (last_key > position) return false;
  return band.window == 0 || position + kBlock - 1 - first_key < band.window || last_key < band.memory;
}

// Which of the 16 queries from `position` on see a key.
inline __mmask16 visible(const Band& band, std::int64_t key, std::int64_t position) {
  const auto below = [](std::int64_t n) { return (1U << std::clamp<std::int64_t>(n, 0, kLanes)) - 1; };
  unsigned mask = 0xffffU & ~below(key - position);
  if (band.window > 0 && key >= band.memory) mask &= below(band.window - (position - key));
  return static_cast<__mmask16>(mask);
}

// A window of all keys is no window.
inline Band simplest(const Band& band, std::int64_t keys) { return band.window >= keys ? Band{} : band; }

inline constexpr double kCostOfPair = 0.02;  // of a query, a key and a feature, in the measure of parallel_for

}  // namespace blalm::kernels::tiles
