#include "blalm/kernels/amx/gemm.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "blalm/core/parallel.h"
#include "blalm/kernels/amx/tiles.h"

namespace blalm::kernels::amx {
namespace {

constexpr std::int64_t kCacheBytes = 1 << 20;  // of operands that a job keeps in the second-level cache

// The block of 32 (or up to 16) rows by 32 columns at `left` and `right`, into sums [32, 32].
template <bool kTwoRows>
void block(std::span<const Term> terms, std::int64_t row_block, std::int64_t col_block, float* sums) {
  _tile_zero(0);
  _tile_zero(1);
  if constexpr (kTwoRows) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (const Term& term : terms) {
    const BFloat16* left = term.left.data + row_block * term.left.block;
    const BFloat16* right = term.right + col_block * term.right_block;
    const std::int64_t row_bytes = term.left.row * 2;
    for (std::int64_t s = 0; s < term.steps; ++s, left += term.left.step, right += kPiece) {
      _tile_loadd(6, right, 64);
      _tile_loadd(4, left, row_bytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, right + kPiece / 2, 64);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (kTwoRows) {
        _tile_loadd(5, left + term.left.half, row_bytes);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
  }
  constexpr std::int64_t kRowBytes = kBlock * 4;
  _tile_stored(0, sums, kRowBytes);
  _tile_stored(1, sums + 16, kRowBytes);
  if constexpr (kTwoRows) {
    _tile_stored(2, sums + 16 * kBlock, kRowBytes);
    _tile_stored(3, sums + 16 * kBlock + 16, kRowBytes);
  }
}

// Sixteen results of a row.
void finish(const Product& p, __m512 sum, std::int64_t row, std::int64_t col, __mmask16 mask) {
  sum = _mm512_mul_ps(sum, _mm512_set1_ps(p.alpha));
  if (p.bias != nullptr) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, p.bias + col));
  const std::int64_t at = row * p.stride + col;
  if (p.dtype == DType::f32) {
    float* c = static_cast<float*>(p.c) + at;
    if (p.add) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, c));
    _mm512_mask_storeu_ps(c, mask, sum);
  } else {
    BFloat16* c = static_cast<BFloat16*>(p.c) + at;
    if (p.add) {
      const __m512i old = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, c));
      sum = _mm512_add_ps(sum, _mm512_castsi512_ps(_mm512_slli_epi32(old, 16)));
    }
    _mm256_mask_storeu_epi16(c, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(sum)));
  }
}

void write(const Product& p, const float* sums, std::int64_t row, std::int64_t col) {
  const std::int64_t rows = std::min(kBlock, p.rows - row), cols = std::min(kBlock, p.cols - col);
  const auto low = static_cast<__mmask16>(cols >= 16 ? 0xffff : (1 << cols) - 1);
  const auto high = static_cast<__mmask16>(cols >= 32 ? 0xffff : cols <= 16 ? 0 : (1 << (cols - 16)) - 1);
  for (std::int64_t r = 0; r < rows; ++r) {
    finish(p, _mm512_load_ps(sums + r * kBlock), row + r, col, low);
    if (high != 0) finish(p, _mm512_load_ps(sums + r * kBlock + 16), row + r, col + 16, high);
  }
}

// Blocks [row, row_end) x [col, col_end) of a product.
struct Job {
  const Product* product;
  std::int64_t row, row_end, col, col_end;
};

void run_block(const Product& p, std::int64_t row, std::int64_t col, TileRegisters& tiles) {
  alignas(64) float sums[kBlock * kBlock];
  const std::int64_t rows = std::min(kBlock, p.rows - row * kBlock);
  tiles.set_rows(rows);
  rows > 16 ? block<true>(p.terms, row, col, sums) : block<false>(p.terms, row, col, sums);
  write(p, sums, row * kBlock, col * kBlock);
}

// The operand that stays in cache goes round in the inner loop.
void run(const Job& job, TileRegisters& tiles) {
  for (std::int64_t row = job.row; row < job.row_end; ++row)
    for (std::int64_t col = job.col; col < job.col_end; ++col) run_block(*job.product, row, col, tiles);
}

std::int64_t depth_of(const Product& p) {
  std::int64_t steps = 0;
  for (const Term& t : p.terms) steps += t.steps;
  return steps * kDepth;
}

// Cuts a product into jobs of up to 256 columns, as many rows as keep the operands of a job in cache, and small enough
// that every thread gets some.
void cut(const Product& p, std::int64_t threads, std::vector<Job>& jobs) {
  const std::int64_t row_blocks = blocks(p.rows), col_blocks = blocks(p.cols);
  const std::int64_t block_bytes = std::max<std::int64_t>(depth_of(p) * kBlock * 2, 1);
  const std::int64_t cached = std::max<std::int64_t>(kCacheBytes / block_bytes, 2);
  std::int64_t width = std::min<std::int64_t>({col_blocks, 8, cached});
  std::int64_t height = std::min<std::int64_t>(row_blocks, 16);
  const auto enough = [&] {
    return ((row_blocks + height - 1) / height) * ((col_blocks + width - 1) / width) >= 4 * threads;
  };
  while (height > 4 && !enough()) height /= 2;
  while (width > 2 && !enough()) width /= 2;
  while (height > 1 && !enough()) height /= 2;
  for (std::int64_t row = 0; row < row_blocks; row += height)
    for (std::int64_t col = 0; col < col_blocks; col += width)
      jobs.push_back({&p, row, std::min(row + height, row_blocks), col, std::min(col + width, col_blocks)});
}

}  // namespace

void multiply(std::span<const Product> products) {
  std::vector<Job> jobs;
  double cost = 0;  // of all: an elementary operation takes the time of some hundred products, or of reading 12 bytes
  for (const Product& p : products) {
    cut(p, num_threads(), jobs);
    const auto operands = static_cast<double>(depth_of(p) * p.cols);
    cost += operands * (static_cast<double>(p.rows) / 256 + 2.0 / 12);
  }
  const auto count = static_cast<std::int64_t>(jobs.size());
  cost /= static_cast<double>(std::max<std::int64_t>(count, 1));
  std::atomic<std::int64_t> next{0};
  parallel_for(count, cost, [&](std::int64_t begin, std::int64_t end) {
    TileRegisters tiles;
    if (begin == 0 && end == count) {  // alone
      for (const Job& job : jobs) run(job, tiles);
      return;
    }
    for (std::int64_t i = next++; i < count; i = next++) run(jobs[static_cast<std::size_t>(i)], tiles);
  });
}

}  // namespace blalm::kernels::amx
