// Permutation of axes.
#pragma once

#include <array>

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// Axis i of y is axis axes[i] of x. Any dtype, the same on both sides.
struct TransposeArgs {
  Tensor x, y;
  std::array<int, kMaxRank> axes;
};
extern const Kernel<TransposeArgs> transpose;

}  // namespace blalm::kernels
