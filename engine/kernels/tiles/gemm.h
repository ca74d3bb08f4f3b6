// Matrix products by tiles: bf16 operands, f32 sums.
//
// A tile holds 16 rows of 64 bytes, as AMX has them: TDPBF16PS adds to a tile of 16 x 16 f32 the product of a left
// tile, 16 rows of 32 bf16, and a right tile, 16 rows of 16 pairs of bf16: row r holds rows 2r and 2r + 1 of the right
// matrix, interleaved. AVX-512 (VDPBF16PS) multiplies a pair of a left row with one row of a right tile, so that it
// wants the same order. The inner loop makes a block of 32 x 32 from two left and two right tiles (tiles.h), a strip
// of the depth at a time (gemm.cpp). Right operands are packed into tile order; left operands are read where they lie,
// if their rows run along the depth, or packed too.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "engine/core/tensor.h"
#include "engine/kernels/tiles/unit.h"

namespace blalm::kernels::tiles {

inline constexpr std::int64_t kBlock = 32;               // rows and columns of a block of the result
inline constexpr std::int64_t kDepth = 32;               // bf16 numbers a row of a left tile
inline constexpr std::int64_t kPiece = kBlock * kDepth;  // elements of two tiles: 32 columns (or rows) by a depth of 32

inline constexpr std::int64_t blocks(std::int64_t n) { return (n + kBlock - 1) / kBlock; }
inline constexpr std::int64_t padded(std::int64_t n) { return blocks(n) * kBlock; }
// Elements of a packed operand of `width` columns (or rows) and this depth; both are filled up with zeros.
inline constexpr std::int64_t packed_size(std::int64_t width, std::int64_t depth) {
  return blocks(width) * blocks(depth) * kPiece;
}

// A matrix to pack: element (i, j) of [rows, cols] is data[i · stride + j]. f32 or bf16.
struct Source {
  const void* data = nullptr;
  DType dtype = DType::bf16;
  std::int64_t rows = 0, cols = 0, stride = 0;
};

// Operands in tile order. Pieces of one block of 32 columns follow each other along the depth.
//   pack_right              the right operand is the source, [depth, width]
//   pack_right_transposed   the right operand is its transpose: the source is [width, depth]
//   pack_right_both         the former two of one source, read once; shares are those of `transposed`
//   pack_left               the left operand is the source, [width, depth]
//   pack_left_transposed    the left operand is its transpose: the source is [depth, width]
// Each packs a share [first, last) of blocks(width) · blocks(depth) pieces; call them in parallel on disjoint shares.
void pack_right(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last);
void pack_right_transposed(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last);
void pack_right_both(const Source& from, BFloat16* transposed, BFloat16* plain, std::int64_t first, std::int64_t last);
void pack_left(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last);
void pack_left_transposed(const Source& from, BFloat16* to, std::int64_t first, std::int64_t last);

// A left operand by its tiles: the tile at block b, half h (rows 16 h to 16 h + 15 of the block) and depth step s
// starts at data + b · block + h · half + s · step, and its rows are `row` apart. In elements.
struct Left {
  const BFloat16* data = nullptr;
  std::int64_t block = 0, half = 0, step = 0, row = 0;

  static Left rows(const BFloat16* data, std::int64_t stride) {
    return {data, kBlock * stride, kBlock / 2 * stride, kDepth, stride};
  }
  static Left packed(const BFloat16* data, std::int64_t depth) {
    return {data, blocks(depth) * kPiece, kPiece / 2, kPiece, kDepth};
  }
};

// left · right over `steps` steps of 32 along the depth. `right` is packed; its blocks are `right_block` apart.
struct Term {
  Left left;
  const BFloat16* right = nullptr;
  std::int64_t right_block = 0;
  std::int64_t steps = 0;
};

// A finished block of a result: rows [row, row + rows) and columns [col, col + cols), at most 32 x 32, in the first
// cache. Row r starts at sums + 32 r; those that do not exist hold zeros or nothing. The sink may write there.
struct Block {
  std::int64_t row, rows, col, cols;
  float* sums;
};
// Takes a result block by block, on any thread.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void take(const Block& block) const = 0;
};

// c = alpha Σ terms (+ bias) (+ c when add), c [rows, cols] with rows `stride` apart, f32 or bf16; bias f32 [cols].
struct Product {
  std::span<const Term> terms;
  void* c = nullptr;
  DType dtype = DType::f32;
  std::int64_t rows = 0, cols = 0, stride = 0;
  float alpha = 1;
  const float* bias = nullptr;
  bool add = false;
  const Sink* sink = nullptr;  // gets Σ terms; nothing is written to c
};

// Products on the calling thread, for kernels that share their work out by themselves. Holds the thread's registers:
// one a thread at a time.
class Multiplier {
 public:
  explicit Multiplier(Unit unit);
  ~Multiplier();
  Multiplier(const Multiplier&) = delete;
  Multiplier& operator=(const Multiplier&) = delete;
  void operator()(const Product& product);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// All products in one parallel region. Every element of a result is summed by one thread in one order: the same bits on
// any number of threads.
void multiply(Unit unit, std::span<const Product> products);

}  // namespace blalm::kernels::tiles
