#include "blalm/kernels/matmul.h"

namespace blalm::kernels {

const Kernel<MatmulArgs> matmul{
    "matmul",
    {{"onednn:bf16", onednn::unavailable_bf16, onednn::declines_matmul_bf16, onednn::matmul},
     {"onednn:f32", onednn::unavailable, onednn::declines_matmul_f32, onednn::matmul},
     {"eigen", always, eigen::declines_matmul, eigen::matmul},
     {"reference", always, accepts_all<MatmulArgs>, reference::matmul}}};

Matrices matrices(const Tensor& t, bool transposed) {
  const std::int64_t rows = t.dim(-2), cols = t.dim(-1);
  return {t, rows, cols, cols, 0, rows * cols, 0, transposed};
}

Matrices head_matrices(const Tensor& t, bool transposed) {
  const std::int64_t steps = t.dim(1), heads = t.dim(2), width = t.dim(3);
  return {t, steps, width, heads * width, steps * heads * width, width, 0, transposed};
}

}  // namespace blalm::kernels
