// Causal depthwise convolution along time, with SiLU (spec §7).
#pragma once

#include <vector>

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// For each stream, with its own channels C and taps K: z[b, t, c] = Σ_j taps[j, c] x[b, t - (K-1) + j, c], x being 0
// before the first position; y = silu(z), or z. x, y [B, T, C], B, T and the dtype the same in all streams; taps [K, C]
// of its compute dtype: the weight transposed, so that channels are adjacent.
struct ShortConvArgs {
  struct Stream {
    Tensor x, taps, y;
  };
  std::vector<Stream> streams;  // one or more
  bool silu;
};
extern const Kernel<ShortConvArgs> short_conv;

// dx [B, T, C] and dtaps [K, C] (compute dtype) may be undefined: not wanted. z is computed again.
struct ShortConvBackwardArgs {
  struct Stream {
    Tensor x, taps, dy, dx, dtaps;
  };
  std::vector<Stream> streams;  // one or more
  bool silu;
};
extern const Kernel<ShortConvBackwardArgs> short_conv_backward;

}  // namespace blalm::kernels
