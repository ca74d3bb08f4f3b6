// into += from, element by element. The dtypes may differ (bf16 gradients are summed into f32).
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

struct AccumulateArgs {
  Tensor into;
  Tensor from;
};
extern const Kernel<AccumulateArgs> accumulate;

}  // namespace blalm::kernels
