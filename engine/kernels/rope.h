// Rotary positions (spec §4.4).
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// x, y [B, T, H, D]: pair (j, j + D/2) of every head at row t is turned by the angle φ whose cosine is table[t][j] and
// whose sine is table[t][D/2 + j], or by -φ when inverse. table [T, D]: f32 for f32 and bf16, f64 for f64 and c128.
// y may be x.
struct RopeArgs {
  Tensor x, table, y;
  bool inverse;
};
extern const Kernel<RopeArgs> rope;

}  // namespace blalm::kernels
