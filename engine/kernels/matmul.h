// Batched matrix product, the operation that nearly all time goes into.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// A batch of matrices inside a tensor's storage. Strides are in elements. Two batch axes, because heads inside
// [B, T, H, D] are a batch of B × H matrices that no single stride reaches.
struct Matrices {
  Tensor tensor;
  std::int64_t rows = 0, cols = 0;                  // as stored
  std::int64_t row_stride = 0;                      // between rows; columns are adjacent
  std::int64_t outer_stride = 0, inner_stride = 0;  // between matrices; 0 repeats one
  std::int64_t offset = 0;                          // of the first element
  bool transposed = false;                          // use the transpose of what is stored

  std::int64_t op_rows() const { return transposed ? cols : rows; }
  std::int64_t op_cols() const { return transposed ? rows : cols; }
};

// c = alpha op(a) op(b), or c += … when add. c is not transposed and overlaps neither a nor b.
// a and b have one dtype; c has the same, or f32 for bf16 operands. Sums are f32 or better.
struct MatmulArgs {
  Matrices a, b, c;
  std::int64_t outer = 1, inner = 1;  // batch sizes
  double alpha = 1;
  bool add = false;

  std::int64_t m() const { return c.rows; }
  std::int64_t n() const { return c.cols; }
  std::int64_t k() const { return a.op_cols(); }
  double flops() const {
    return 2.0 * static_cast<double>(outer * inner) * static_cast<double>(m()) * static_cast<double>(n()) *
           static_cast<double>(k());
  }
};
extern const Kernel<MatmulArgs> matmul;

// The last two axes of a contiguous tensor as a batch of matrices.
Matrices matrices(const Tensor& t, bool transposed = false);
// Head h of [B, T, H, D] as matrices [T, D], batched over B (outer) and H (inner).
Matrices head_matrices(const Tensor& t, bool transposed = false);

}  // namespace blalm::kernels
