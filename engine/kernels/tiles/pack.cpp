// Operands into tile order. The work is the transposition of 16 x 16 blocks of pairs of bf16.
#include <immintrin.h>

#include <algorithm>

#include "engine/kernels/tiles/backend.h"
#include "engine/kernels/tiles/gemm.h"

namespace blalm::kernels::tiles {
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
  if constexpr (std::is_same_v<T, BFloat16>)
    if (count >= kDepth) return _mm512_loadu_si512(p);
  const auto mask = [](std::int64_t n) { return static_cast<__mmask16>(n >= 16 ? 0xffff : n <= 0 ? 0 : (1 << n) - 1); };
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

// Indices that interleave the lower and the upper halves of two registers of bf16: 0, 32, 1, 33, … and 16, 48, 17, …
struct Interleave {
  alignas(64) std::uint16_t low[32], high[32];
};
constexpr Interleave kInterleave = [] {
  Interleave index{};
  for (std::uint16_t i = 0; i < 16; ++i)
    for (std::uint16_t source = 0; source < 2; ++source) {
      index.low[2 * i + source] = static_cast<std::uint16_t>(32 * source + i);
      index.high[2 * i + source] = static_cast<std::uint16_t>(32 * source + 16 + i);
    }
  return index;
}();

// Two tiles: the thirty-two columns from `col`, at depth `row` to row + 31 of a source [depth, width], as rows of
// pairs.
using Tiles = __m512i[2][16];

template <class T>
void gather(const Source& from, std::int64_t row, std::int64_t col, Tiles& tiles) {
  const T* data = static_cast<const T*>(from.data) + row * from.stride + col;
  const std::int64_t rows = std::min(kDepth, from.rows - row), cols = std::min(kBlock, from.cols - col);
  if constexpr (std::is_same_v<T, BFloat16>) {
    if (rows == kDepth && cols == kBlock) {
      const __m512i low = _mm512_load_si512(kInterleave.low), high = _mm512_load_si512(kInterleave.high);
      for (std::int64_t p = 0; p < 16; ++p) {
        const __m512i a = _mm512_loadu_si512(data + 2 * p * from.stride);
        const __m512i b = _mm512_loadu_si512(data + (2 * p + 1) * from.stride);
        tiles[0][p] = _mm512_permutex2var_epi16(a, low, b);
        tiles[1][p] = _mm512_permutex2var_epi16(a, high, b);
      }
      return;
    }
  }
  for (std::int64_t half = 0; half < 2; ++half) {
    const std::int64_t count = std::clamp<std::int64_t>(cols - half * kHalf, 0, kHalf);
    const auto mask = static_cast<__mmask16>((1U << count) - 1);
    const T* at = data + half * kHalf;
    for (std::int64_t p = 0; p < 16; ++p)
      tiles[half][p] = 2 * p < rows && count > 0 ? interleave16(at + 2 * p * from.stride,
                                                                at + (2 * p + 1) * from.stride, mask, 2 * p + 1 < rows)
                                                 : _mm512_setzero_si512();
  }
}

void store(const __m512i (&tile)[16], BFloat16* to) {
  for (int i = 0; i < 16; ++i) _mm512_storeu_si512(to + i * kDepth, tile[i]);
}

// Rows of the source run across pieces: these are taken in the order in which reading it is fastest.
template <bool kTransposeTiles, class T>
void pack_from_depth(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  const std::int64_t across = blocks(from.cols), along = blocks(from.rows);
  for (std::int64_t i = first; i < last; ++i) {
    const std::int64_t block = i % across, step = i / across;
    BFloat16* piece = to + (block * along + step) * kPiece;
    Tiles tiles;
    gather<T>(from, step * kDepth, block * kBlock, tiles);
    for (std::int64_t half = 0; half < 2; ++half) {
      if constexpr (kTransposeTiles) transpose16(tiles[half]);
      store(tiles[half], piece + half * (kPiece / 2));
    }
  }
}

template <class T>
void pack_rows(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  const std::int64_t along = blocks(from.cols);
  for (std::int64_t i = first; i < last; ++i) {
    const std::int64_t row = i / along * kBlock, col = i % along * kDepth;
    const T* data = static_cast<const T*>(from.data) + row * from.stride + col;
    for (std::int64_t r = 0; r < kBlock; ++r)
      _mm512_storeu_si512(to + i * kPiece + r * kDepth, row + r < from.rows
                                                            ? load32(data + r * from.stride, from.cols - col)
                                                            : _mm512_setzero_si512());
  }
}

// `plain`, when given, gets what pack_right makes of the source.
template <class T>
void pack_from_width(const Source& from, BFloat16* to, BFloat16* plain, std::int64_t first, std::int64_t last) {
  const __m512i low = _mm512_load_si512(kInterleave.low), high = _mm512_load_si512(kInterleave.high);
  const std::int64_t along = blocks(from.cols), down = blocks(from.rows);
  for (std::int64_t i = first; i < last; ++i)
    for (std::int64_t half = 0; half < 2; ++half) {
      const std::int64_t row = i / along * kBlock + half * kHalf, col = i % along * kDepth;
      const T* data = static_cast<const T*>(from.data) + row * from.stride + col;
      __m512i tile[16];
      for (std::int64_t r = 0; r < 16; ++r)
        tile[r] = row + r < from.rows ? load32(data + r * from.stride, from.cols - col) : _mm512_setzero_si512();
      if (plain != nullptr) {
        BFloat16* pairs = plain + (i % along * down + i / along) * kPiece + half * (kPiece / 4);
        for (std::int64_t p = 0; p < 8; ++p) {
          const __m512i a = tile[2 * p], b = tile[2 * p + 1];
          _mm512_storeu_si512(pairs + p * kDepth, _mm512_permutex2var_epi16(a, low, b));
          _mm512_storeu_si512(pairs + p * kDepth + kPiece / 2, _mm512_permutex2var_epi16(a, high, b));
        }
      }
      transpose16(tile);
      store(tile, to + i * kPiece + half * (kPiece / 2));
    }
}

}  // namespace

void pack_right(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  from.dtype == DType::f32 ? pack_from_depth<false, float>(from, to, first, last)
                           : pack_from_depth<false, BFloat16>(from, to, first, last);
}

void pack_right_transposed(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  pack_right_both(from, to, nullptr, first, last);
}

void pack_right_both(const Source& from, BFloat16* transposed, BFloat16* plain, std::int64_t first, std::int64_t last) {
  from.dtype == DType::f32 ? pack_from_width<float>(from, transposed, plain, first, last)
                           : pack_from_width<BFloat16>(from, transposed, plain, first, last);
}

void pack_left(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  from.dtype == DType::f32 ? pack_rows<float>(from, to, first, last) : pack_rows<BFloat16>(from, to, first, last);
}

void pack_left_transposed(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last) {
  from.dtype == DType::f32 ? pack_from_depth<true, float>(from, to, first, last)
                           : pack_from_depth<true, BFloat16>(from, to, first, last);
}

}  // namespace blalm::kernels::tiles
