// Hedgehog feature maps (spec §11.1): features of y [F] are two halves [2F], functions of y and of -y.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

enum class Features {
  joint,        // softmax([2y, -2y]): sums to 1
  separate,     // [softmax(y), softmax(-y)], no entry below 1e-12: sums to 2
  exponential,  // [e^(y - max y), e^(min y - y)]: the largest entry of each half is 1
};

// y [N, F] -> phi [N, 2F], of one dtype. Extremes are found by real part.
struct HedgehogArgs {
  Features map;
  Tensor y, phi;
};
extern const Kernel<HedgehogArgs> hedgehog;

// dy from phi and its gradient. y is read for `exponential` alone, to find its extremes, through which the gradient of
// that map flows too (of equal ones, through the first). Entries of `separate` that were held at 1e-12 have gradient 0.
struct HedgehogBackwardArgs {
  Features map;
  Tensor y, phi, dphi, dy;
};
extern const Kernel<HedgehogBackwardArgs> hedgehog_backward;

}  // namespace blalm::kernels
