// The product of two blocks, on either unit. Inline for AMX, where a short one takes hardly longer than a call.
#pragma once

#include <immintrin.h>

#include <cassert>
#include <cstdint>

#include "engine/core/dtype.h"
#include "engine/kernels/tiles/gemm.h"

namespace blalm::kernels::tiles {

// `steps` pairs of pieces (gemm.h). A left piece is `left_step` elements after the one before it, its lower half `half`
// elements after its upper one, and its rows are `row` apart; a right piece is `right_step` elements on. `right_near`:
// the right pieces lie in the first cache and stay there; otherwise they do not push others out of it. Only with
// 32 rows set.
struct Pieces {
  const BFloat16* left;
  std::int64_t left_step, half, row;
  const BFloat16* right;
  std::int64_t right_step;
  std::int64_t steps;
  bool right_near = false;
};

inline constexpr std::int64_t kHalfRows = kBlock / 2, kTile = kPiece / 2;  // rows and elements of a tile

// g++ 12 does not know that LDTILECFG and TILELOADD read memory: what they shall read has to be there before.
inline void finish_writes(const void* memory) { __asm__ volatile("" : : "r"(memory) : "memory"); }

// Tiles 0 to 3 hold sums (two rows of two), 4 and 5 left operands, 6 and 7 right ones.
template <bool kTwoRows, bool kRightNear>
inline void multiply_on_amx(const Pieces& p, float* sums, std::int64_t stride, bool add) {
  float* const lower = sums + kHalfRows * stride;
  const auto bytes = static_cast<std::size_t>(stride) * sizeof(float);
  const auto left_bytes = static_cast<std::size_t>(p.row) * sizeof(BFloat16);
  finish_writes(sums);
  if (add) {
    _tile_loadd(0, sums, bytes);
    _tile_loadd(1, sums + 16, bytes);
    if constexpr (kTwoRows) {
      _tile_loadd(2, lower, bytes);
      _tile_loadd(3, lower + 16, bytes);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    if constexpr (kTwoRows) {
      _tile_zero(2);
      _tile_zero(3);
    }
  }
  const BFloat16 *left = p.left, *right = p.right;
  for (std::int64_t s = 0; s < p.steps; ++s, left += p.left_step, right += p.right_step) {
    if constexpr (kRightNear)
      _tile_loadd(6, right, 64);
    else
      _tile_stream_loadd(6, right, 64);
    _tile_loadd(4, left, left_bytes);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kRightNear)
      _tile_loadd(7, right + kTile, 64);
    else
      _tile_stream_loadd(7, right + kTile, 64);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (kTwoRows) {
      _tile_loadd(5, left + p.half, left_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sums, bytes);
  _tile_stored(1, sums + 16, bytes);
  if constexpr (kTwoRows) {
    _tile_stored(2, lower, bytes);
    _tile_stored(3, lower + 16, bytes);
  }
}

// The same on AVX-512, of `rows` rows.
void multiply_on_vectors(const Pieces& p, std::int64_t rows, float* sums, std::int64_t stride, bool add);

// A thread's registers, for as long as this lives: one a thread at a time.
class BlockMultiplier {
 public:
  explicit BlockMultiplier(Unit unit);
  ~BlockMultiplier();
  BlockMultiplier(const BlockMultiplier&) = delete;
  BlockMultiplier& operator=(const BlockMultiplier&) = delete;

  // How many rows left operands have, 1 to 32; at first 32.
  void set_rows(std::int64_t rows) {
    if (rows == rows_) return;
    rows_ = rows;
    if (unit_ == Unit::amx) configure();
  }

  // sums (+)= Σ left · right, added to when `add`; [rows, 32] with rows `stride` elements apart.
  void operator()(const Pieces& pieces, float* sums, std::int64_t stride, bool add) const {
    assert(!pieces.right_near || rows_ == kBlock);
    if (unit_ == Unit::avx512)
      multiply_on_vectors(pieces, rows_, sums, stride, add);
    else if (pieces.right_near)
      multiply_on_amx<true, true>(pieces, sums, stride, add);
    else if (rows_ > kHalfRows)
      multiply_on_amx<true, false>(pieces, sums, stride, add);
    else
      multiply_on_amx<false, false>(pieces, sums, stride, add);
  }

 private:
  void configure() const;  // AMX's tiles for so many rows

  Unit unit_;
  std::int64_t rows_ = 32;
};

}  // namespace blalm::kernels::tiles
