// Permutation of axes.
#pragma once

#include <array>

#include "blalm/core/tensor.h"
#include "blalm/kernels/kernel.h"

namespace blalm::kernels {

// Axis i of y is axis axes[i] of x. Any dtype, the same on both sides.
struct TransposeArgs {
  Tensor x, y;
  std::array<int, kMaxRank> axes;
};
extern const Kernel<TransposeArgs> transpose;

namespace reference {
void transpose(const TransposeArgs&);
}

}  // namespace blalm::kernels
