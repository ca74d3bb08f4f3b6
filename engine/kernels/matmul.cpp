#include "engine/kernels/matmul.h"

namespace blalm::kernels {

Matrices matrices(const Tensor& t, bool transposed) {
  const std::int64_t rows = t.dim(-2), cols = t.dim(-1);
  return {t, rows, cols, cols, 0, rows * cols, 0, transposed};
}

Matrices head_matrices(const Tensor& t, bool transposed) {
  const std::int64_t steps = t.dim(1), heads = t.dim(2), width = t.dim(3);
  return {t, steps, width, heads * width, steps * heads * width, width, 0, transposed};
}

}  // namespace blalm::kernels
