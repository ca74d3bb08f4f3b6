#include "engine/kernels/tiles/gemm.h"

#include <immintrin.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/kernels/tiles/backend.h"
#include "engine/kernels/tiles/tiles.h"

namespace blalm::kernels::tiles {
namespace {

// The depth is cut twice. Over kStripSteps a strip of the left operand (32 rows, 32 KiB) stays in the first-level cache
// while the right operand's blocks go by; over kSlabSteps the right operand of a job (256 columns, 512 KiB) stays in
// the second-level cache while the left operand's rows go by.
constexpr std::int64_t kStripSteps = 16, kSlabSteps = 32;
constexpr std::int64_t kJobRows = 8, kJobCols = 8;  // blocks

// A stretch of one term's depth.
struct Strip {
  const Term* term;
  std::int64_t begin, steps;
};

void list_strips(std::span<const Term> terms, std::vector<Strip>& strips) {
  strips.clear();
  for (const Term& term : terms)
    for (std::int64_t begin = 0; begin < term.steps; begin += kStripSteps)
      strips.push_back({&term, begin, std::min(kStripSteps, term.steps - begin)});
}

// Sums of a block, rows `stride` apart.
struct Sums {
  float* data;
  std::int64_t stride;
};

// Adds a strip's part of a block to the sums, or sets them when `first`.
void accumulate(const Strip& strip, std::int64_t row_block, std::int64_t col_block, bool first, const Sums& to,
                const BlockMultiplier& multiply) {
  const Term& term = *strip.term;
  multiply({term.left.data + row_block * term.left.block + strip.begin * term.left.step, term.left.step, term.left.half,
            term.left.row, term.right + col_block * term.right_block + strip.begin * kPiece, kPiece, strip.steps},
           to.data, to.stride, !first);
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
  if (cols == kBlock && p.dtype == DType::bf16 && !p.add && p.bias == nullptr && p.alpha == 1) {  // whole lines
    BFloat16* c = static_cast<BFloat16*>(p.c) + row * p.stride + col;
    for (std::int64_t r = 0; r < rows; ++r)
      _mm512_storeu_si512(c + r * p.stride,
                          reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(_mm512_load_ps(sums + r * kBlock + 16),
                                                                        _mm512_load_ps(sums + r * kBlock))));
    return;
  }
  const auto low = static_cast<__mmask16>(cols >= 16 ? 0xffff : (1 << cols) - 1);
  const auto high = static_cast<__mmask16>(cols >= 32 ? 0xffff : cols <= 16 ? 0 : (1 << (cols - 16)) - 1);
  for (std::int64_t r = 0; r < rows; ++r) {
    finish(p, _mm512_load_ps(sums + r * kBlock), row + r, col, low);
    if (high != 0) finish(p, _mm512_load_ps(sums + r * kBlock + 16), row + r, col + 16, high);
  }
}

// Asks for the lines that write() will need: they come while the tiles are at work.
void prefetch(const Product& p, std::int64_t row, std::int64_t col) {
  const std::int64_t rows = std::min(kBlock, p.rows - row), bytes = size_of(p.dtype);
  const std::int64_t width = std::min(kBlock, p.cols - col) * bytes;
  const char* c = static_cast<const char*>(p.c) + (row * p.stride + col) * bytes;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t b = 0; b < width; b += 64) __builtin_prefetch(c + r * p.stride * bytes + b, 1);
}

// Blocks [row, row_end) x [col, col_end) of a product.
struct Job {
  const Product* product;
  const std::vector<Strip>* strips;
  std::int64_t row, row_end, col, col_end;
};

// A row of a job's blocks over strips [begin, end).
void run_row(const Job& job, std::int64_t row, std::size_t begin, std::size_t end, BlockMultiplier& multiply,
             float* sums) {
  const Product& p = *job.product;
  const std::vector<Strip>& strips = *job.strips;
  const std::int64_t rows = std::min(kBlock, p.rows - row * kBlock);
  // f32 results are summed where they belong.
  const bool in_place = p.dtype == DType::f32 && p.alpha == 1 && p.bias == nullptr && p.sink == nullptr;
  const bool whole = begin == 0 && end == strips.size();  // else sums are kept from slab to slab
  if (!whole) sums += (row - job.row) * kJobCols * kBlock * kBlock;
  multiply.set_rows(rows);
  for (std::size_t s = begin; s < end; ++s) {
    const bool last = s + 1 == strips.size();
    for (std::int64_t col = job.col; col < job.col_end; ++col) {
      Sums block{strips.size() == 1 ? sums : sums + (col - job.col) * kBlock * kBlock, kBlock};
      const bool here = in_place && (col + 1) * kBlock <= p.cols;
      if (here) block = {static_cast<float*>(p.c) + row * kBlock * p.stride + col * kBlock, p.stride};
      const bool writes = last && !here && p.sink == nullptr;
      if (writes) prefetch(p, row * kBlock, col * kBlock);
      const bool first = s == 0 && !(here && p.add);
      accumulate(strips[s], row, col, first, block, multiply);
      if (writes) write(p, block.data, row * kBlock, col * kBlock);
      if (last && p.sink != nullptr)
        p.sink->take({row * kBlock, rows, col * kBlock, std::min(kBlock, p.cols - col * kBlock), block.data});
    }
  }
}

void run(const Job& job, BlockMultiplier& multiply, float* sums) {
  const std::vector<Strip>& strips = *job.strips;
  for (std::size_t begin = 0, end = 0; begin < strips.size(); begin = end) {
    for (std::int64_t steps = 0; end < strips.size() && (end == begin || steps + strips[end].steps <= kSlabSteps);)
      steps += strips[end++].steps;
    for (std::int64_t row = job.row; row < job.row_end; ++row) run_row(job, row, begin, end, multiply, sums);
  }
}

constexpr std::int64_t kSums = kJobRows * kJobCols * kBlock * kBlock;

double depth_of(const Product& p) {
  std::int64_t steps = 0;
  for (const Term& t : p.terms) steps += t.steps;
  return static_cast<double>(steps * kDepth);
}

// Cuts a product into jobs, small enough that every thread gets some.
void cut(const Product& p, const std::vector<Strip>& strips, std::int64_t threads, std::vector<Job>& jobs) {
  const std::int64_t row_blocks = blocks(p.rows), col_blocks = blocks(p.cols);
  std::int64_t width = std::min(col_blocks, kJobCols), height = std::min(row_blocks, kJobRows);
  const auto enough = [&] {
    return ((row_blocks + height - 1) / height) * ((col_blocks + width - 1) / width) >= 4 * threads;
  };
  while (height > 4 && !enough()) height /= 2;
  while (width > 2 && !enough()) width /= 2;
  while (height > 1 && !enough()) height /= 2;
  for (std::int64_t row = 0; row < row_blocks; row += height)
    for (std::int64_t col = 0; col < col_blocks; col += width)
      jobs.push_back({&p, &strips, row, std::min(row + height, row_blocks), col, std::min(col + width, col_blocks)});
}

}  // namespace

struct Multiplier::State {
  explicit State(Unit unit) : multiply(unit) {}

  BlockMultiplier multiply;
  std::vector<Strip> strips;
  alignas(64) float sums[kSums];
};

Multiplier::Multiplier(Unit unit) : state_(new State(unit)) {}
Multiplier::~Multiplier() = default;

void Multiplier::operator()(const Product& p) {
  list_strips(p.terms, state_->strips);
  const std::int64_t rows = blocks(p.rows), cols = blocks(p.cols);
  for (std::int64_t row = 0; row < rows; row += kJobRows)
    for (std::int64_t col = 0; col < cols; col += kJobCols)
      run({&p, &state_->strips, row, std::min(row + kJobRows, rows), col, std::min(col + kJobCols, cols)},
          state_->multiply, state_->sums);
}

void multiply(Unit unit, std::span<const Product> products) {
  std::vector<std::vector<Strip>> strips(products.size());
  for (std::size_t i = 0; i < products.size(); ++i) list_strips(products[i].terms, strips[i]);
  std::vector<Job> jobs;
  double cost = 0;  // of all: an elementary operation takes the time of some hundred products, or of reading 12 bytes
  for (std::size_t i = 0; i < products.size(); ++i) {
    const Product& p = products[i];
    cut(p, strips[i], num_threads(), jobs);
    cost += depth_of(p) * static_cast<double>(p.cols) * (static_cast<double>(p.rows) / 256 + 2.0 / 12);
  }
  const auto height = [](const Job& job) {
    return static_cast<double>(job.row) / static_cast<double>(job.product->rows);
  };
  std::stable_sort(jobs.begin(), jobs.end(), [&](const Job& a, const Job& b) { return height(a) < height(b); });
  const auto count = static_cast<std::int64_t>(jobs.size());
  cost /= static_cast<double>(std::max<std::int64_t>(count, 1));
  // A thread first takes the jobs of the rows that it also had in the operation before, which lie in its cache; then it
  // helps the others from their ends.
  std::vector<std::atomic_flag> taken(jobs.size());
  parallel_for(count, cost, [&](std::int64_t begin, std::int64_t end) {
    BlockMultiplier multiplier(unit);
    alignas(64) float sums[kSums];
    const auto offer = [&](std::int64_t i) {
      const auto at = static_cast<std::size_t>(i);
      if (!taken[at].test_and_set(std::memory_order_relaxed)) run(jobs[at], multiplier, sums);
    };
    for (std::int64_t i = begin; i < end; ++i) offer(i);
    for (std::int64_t i = count; i-- > 0;) offer(i);
  });
}

}  // namespace blalm::kernels::tiles
