// Operands into tile order. The work is the transposition of 16 x 16 blocks of pairs of bf16.
#include <immintrin.h>

#include <algorithm>

#include "blalm/kernels/amx/gemm.h"

namespace blalm::kernels::amx {
namespace {

constexpr std::int64_t kHalf = 16;  // columns (or rows) of one tile

// Sixteen numbers as bf16, zero where the mask is not set.
__m256i load16(const float* p, __mmask16 mask) {
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, p)));
}
__m256i load16(const BFloat16* p, __mmask16 mask) { return _mm256_maskz_loadu_epi16(mask, p); }

// Thirty-two numbers of a row, of which the first `count` exist.
template <class T>
__m512i load32(const T* p, std::int64_t count) {
  const auto mask = [](std::int64_t n) {
    return static_cast<__mmask16>(n >= 16 ? 0xffff : n <= 0 ? 0 : (1 << n) - 1);
  };
  const __m256i low = load16(p, mask(count));
  const __m256i high = count > 16 ? load16(p + 16, mask(count - 16)) : _mm256_setzero_si256();
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// Pairs (a_j, b_j) of two rows.
template <class T>
__m512i interleave16(const T* a, const T* b, __mmask16 mask, bool b_exists) {
  const __m512i low = _mm512_cvtepu16_epi32(load16(a, mask));
  if (!b_exists) return low;
  return _mm512_or_si512(low, _mm512_slli_epi32(_mm512_cvtepu16_epi32(load16(b, mask)), 16));
}

// r[i] lane j <-> r[j] lane i.
void transpose16(__m512i (&r)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int g = 0; g < 2; ++g)
    for (int i = 0; i < 4; ++i) {
      t[8 * g + i] = _mm512_shuffle_i32x4(r[8 * g + i], r[8 * g + 4 + i], 0x88);
      t[8 * g + 4 + i] = _mm512_shuffle_i32x4(r[8 * g + i], r[8 * g + 4 + i], 0xdd);
    }
  for (int i = 0; i < 8; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
    r[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
  }
}

// The sixteen columns from `col`, at depth `row` to row + 31 of a source [depth, width]: rows of pairs, as a right tile
// wants them.
template <class T>
void gather(const Source& from, std::int64_t row, std::int64_t col, __m512i (&tile)[16]) {
  const T* data = static_cast<const T*>(from.data) + row * from.stride + col;
  const std::int64_t rows = std::min(kDepth, from.rows - row), cols = std::min(kHalf, from.cols - col);
  const auto mask = static_cast<__mmask16>(cols <= 0 ? 0 : (1U << cols) - 1);
  for (std::int64_t p = 0; p < 16; ++p)
    tile[p] = 2 * p < rows && cols > 0
                  ? interleave16(data + 2 * p * from.stride, data + (2 * p + 1) * from.stride, mask, 2 * p + 1 < rows)
                  : _mm512_setzero_si512();
}

void store(const __m512i (&tile)[16], BFloat16* to) {
  for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + i * kDepth, tile[i]);
}

// Calls tile(block, step, half, to) for each tile of the pieces [first, last).
template <class F>
void each_tile(std::int64_t depth_blocks, BFloat16* to, std::int64_t first, std::int64_t last, F&& tile) {
  for (std::int64_t p = first; p < last; ++p)
    for (std::int64_t half = 0; half < 2; ++half)
      tile(p / depth_blocks, p % depth_blocks, half, to + p * kPiece + half * (kPiece / 2));
}

template <bool kTransposeTiles, class T>
void pack_from_depth(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  each_tile(blocks(from.rows), to, first, last,
            [&](std::int64_t block, std::int64_t step, std::int64_t half, BFloat16* into) {
              __m512i tile[16];
              gather<T>(from, step * kDepth, block * kBlock + half * kHalf, tile);
              if constexpr (kTransposeTiles) transpose16(tile);
              store(tile, into);
            });
}

template <class T>
void pack_from_width(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  each_tile(blocks(from.cols), to, first, last,
            [&](std::int64_t block, std::int64_t step, std::int64_t half, BFloat16* into) {
              const std::int64_t row = block * kBlock + half * kHalf, col = step * kDepth;
              const T* data = static_cast<const T*>(from.data) + row * from.stride + col;
              __m512i tile[16];
              for (std::int64_t i = 0; i < 16; ++i)
                tile[i] =
                    row + i < from.rows ? load32(data + i * from.stride, from.cols - col) : _mm512_setzero_si512();
              transpose16(tile);
              store(tile, into);
            });
}

}  // namespace

void pack_right(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  from.dtype == DType::f32 ? pack_from_depth<false, float>(from, to, first, last)
                           : pack_from_depth<false, BFloat16>(from, to, first, last);
}

void pack_right_transposed(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  from.dtype == DType::f32 ? pack_from_width<float>(from, to, first, last)
                           : pack_from_width<BFloat16>(from, to, first, last);
}

void pack_left_transposed(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  from.dtype == DType::f32 ? pack_from_depth<true, float>(from, to, first, last)
                           : pack_from_depth<true, BFloat16>(from, to, first, last);
}

}  // namespace blalm::kernels::amx
