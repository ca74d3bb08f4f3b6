// Softmax over the last axis.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// y = e^(x - max x) / Σ e^(x - max x) in each row: x, y [rows, n] of one dtype. The largest is the one by real part.
struct SoftmaxArgs {
  Tensor x, y;
};
extern const Kernel<SoftmaxArgs> softmax;

// dx = y (dy - Σ y dy).
struct SoftmaxBackwardArgs {
  Tensor y, dy, dx;
};
extern const Kernel<SoftmaxBackwardArgs> softmax_backward;

}  // namespace blalm::kernels
