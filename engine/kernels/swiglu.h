// SwiGLU (spec §4.3): y = silu(gate) ⊙ up.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// All of one shape and dtype.
struct SwigluArgs {
  Tensor gate, up, y;
};
extern const Kernel<SwigluArgs> swiglu;

// dgate = dy ⊙ up ⊙ silu'(gate), dup = dy ⊙ silu(gate). Either may be undefined: not wanted. `up` is read for dgate
// alone.
struct SwigluBackwardArgs {
  Tensor gate, up, dy, dgate, dup;
};
extern const Kernel<SwigluBackwardArgs> swiglu_backward;

}  // namespace blalm::kernels
