// Reductions along one axis.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

enum class Reduce { sum, max };

// x seen as [outer, n, inner]; y, of the dtype of x or of its compute dtype, as [outer, inner]. `max` compares real
// parts. For max over an empty axis y is -inf.
struct ReduceArgs {
  Reduce f;
  Tensor x, y;
  std::int64_t outer, n, inner;
};
extern const Kernel<ReduceArgs> reduce;

// Running sums along the middle axis of [outer, n, inner]; from the end when reverse.
struct CumsumArgs {
  Tensor x, y;
  std::int64_t outer, n, inner;
  bool reverse;
};
extern const Kernel<CumsumArgs> cumsum;

}  // namespace blalm::kernels
