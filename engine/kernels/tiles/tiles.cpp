#include "engine/kernels/tiles/tiles.h"

#include <immintrin.h>

#include <cstring>

#include "engine/core/cpu.h"
#include "engine/kernels/tiles/backend.h"
#include "engine/kernels/tiles/gemm.h"

namespace blalm::kernels::tiles {
namespace {

struct alignas(64) TileConfig {  // as LDTILECFG reads it
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
};

// So many rows at once that products wait for none of the ones before.
constexpr std::int64_t kRowsAtOnce = 8;

// Adds the product of rows and one right tile.
template <std::int64_t kRows>
void multiply_tile(const BFloat16* left, std::int64_t row, const BFloat16* right, __m512 (&sums)[kRows]) {
  for (std::int64_t k = 0; k < kDepth; k += 2) {  // a pair of the depth
    const auto pairs = reinterpret_cast<__m512bh>(_mm512_loadu_si512(right + k * 16));
#pragma GCC unroll 8
    for (std::int64_t r = 0; r < kRows; ++r) {
      std::int32_t pair;
      std::memcpy(&pair, left + r * row + k, sizeof pair);
      sums[r] = _mm512_dpbf16_ps(sums[r], reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair)), pairs);
    }
  }
}

template <std::int64_t kRows>
void multiply_rows(const Pieces& p, const BFloat16* left, float* sums, std::int64_t stride, bool add) {
  __m512 low[kRows], high[kRows];  // columns 0 to 15 and 16 to 31
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < kRows; ++r) {
    low[r] = add ? _mm512_loadu_ps(sums + r * stride) : _mm512_setzero_ps();
    high[r] = add ? _mm512_loadu_ps(sums + r * stride + 16) : _mm512_setzero_ps();
  }
  const BFloat16* right = p.right;
  // A tile after the other: where few rows leave it to the memory how fast they go, its lines are wanted in order.
  for (std::int64_t s = 0; s < p.steps; ++s, left += p.left_step, right += p.right_step) {
    multiply_tile(left, p.row, right, low);
    multiply_tile(left, p.row, right + kTile, high);
  }
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < kRows; ++r) {
    _mm512_storeu_ps(sums + r * stride, low[r]);
    _mm512_storeu_ps(sums + r * stride + 16, high[r]);
  }
}

}  // namespace

void multiply_on_vectors(const Pieces& p, std::int64_t rows, float* sums, std::int64_t stride, bool add) {
  using Rows = void (*)(const Pieces&, const BFloat16*, float*, std::int64_t, bool);
  constexpr Rows kRest[] = {nullptr,          multiply_rows<1>, multiply_rows<2>, multiply_rows<3>,
                            multiply_rows<4>, multiply_rows<5>, multiply_rows<6>, multiply_rows<7>};
  std::int64_t r = 0;
  const auto left = [&] { return p.left + r / kHalfRows * p.half + r % kHalfRows * p.row; };
  for (; r + kRowsAtOnce <= rows; r += kRowsAtOnce)
    multiply_rows<kRowsAtOnce>(p, left(), sums + r * stride, stride, add);
  if (r < rows) kRest[rows - r](p, left(), sums + r * stride, stride, add);
}

Reason no_amx() { return cpu().amx_bf16 ? nullptr : "the processor has no AMX"; }
Reason no_avx512() { return cpu().avx512_bf16 ? nullptr : "the processor has no AVX512-BF16"; }

BlockMultiplier::BlockMultiplier(Unit unit) : unit_(unit) {
  if (unit_ == Unit::amx) configure();
}

BlockMultiplier::~BlockMultiplier() {
  if (unit_ == Unit::amx) _tile_release();
}

void BlockMultiplier::configure() const {
  TileConfig config;
  const auto first = static_cast<std::uint8_t>(rows_ < kHalfRows ? rows_ : kHalfRows);
  const auto second = static_cast<std::uint8_t>(rows_ > kHalfRows ? rows_ - kHalfRows : kHalfRows);
  const std::uint8_t rows[8] = {first, first, second, second, first, second, 16, 16};
  for (int i = 0; i < 8; ++i) {
    config.row_bytes[i] = 64;
    config.rows[i] = rows[i];
  }
  finish_writes(&config);
  _tile_loadconfig(&config);
}

}  // namespace blalm::kernels::tiles
