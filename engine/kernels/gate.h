// Products with an activated gate: y = f(gate) ⊙ x. SwiGLU (spec §4.3) and the output gate (spec §5.7).
#pragma once

#include "blalm/core/tensor.h"
#include "blalm/kernels/kernel.h"

namespace blalm::kernels {

enum class Gate {
  sigmoid,  // σ(g)
  silu,     // g σ(g)
};

// All of one shape and dtype.
struct GatedArgs {
  Gate f;
  Tensor gate, x, y;
};
extern const Kernel<GatedArgs> gated;

// dgate = dy ⊙ x ⊙ f'(gate), dx = dy ⊙ f(gate). Either may be undefined: not wanted. x is read for dgate alone.
struct GatedBackwardArgs {
  Gate f;
  Tensor gate, x, dy, dgate, dx;
};
extern const Kernel<GatedBackwardArgs> gated_backward;

namespace reference {
void gated(const GatedArgs&);
void gated_backward(const GatedBackwardArgs&);
}  // namespace reference

}  // namespace blalm::kernels
