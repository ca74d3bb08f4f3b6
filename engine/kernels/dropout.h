// Dropout.
#pragma once

#include "engine/core/rng.h"
#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// y[i] = scale · x[i] where word i of rng, counted from its position, is `threshold` or more; else 0. The same call
// gives the same mask again, so nobody has to keep one. y may be x.
struct DropoutArgs {
  Tensor x, y;
  Rng rng;
  std::uint32_t threshold;
  double scale;
};
extern const Kernel<DropoutArgs> dropout;

}  // namespace blalm::kernels
