// SwiGLU (spec §4.3), elementwise: y = silu(g) ⊙ u with silu(g) = g σ(g), for gate g and up u of one shape.
//   dg = dy ⊙ u ⊙ silu'(g), silu'(g) = σ(g) (1 + g (1 - σ(g)))      du = dy ⊙ silu(g)
#include "engine/autograd/op.h"
#include "engine/kernels/swiglu.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {

Var swiglu(const Var& gate, const Var& up, Where where) {
  check_floating("swiglu", "gate", gate);
  check_shape("swiglu", "up", up.value(), gate.shape());
  check_same_dtype("swiglu", "up", up, gate);
  if (kernel_policy().composed) return composed::swiglu(gate, up);

  Op op("swiglu", {gate, up}, where);
  Tensor y = Tensor::empty(gate.shape(), gate.dtype());
  op.ran(kernels::swiglu({gate.value(), up.value(), y}));
  op.flops(6.0 * static_cast<double>(y.numel()));
  // The gate is needed for both gradients, `up` for that of the gate alone; with both, y need not be kept.
  if (gate.requires_grad())
    op.remakes([](Backward& back) {
      const Tensor again = Tensor::empty(back.saved(0).shape(), back.saved(0).dtype());
      kernels::swiglu({back.saved(0), back.saved(1), again});
      return again;
    });
  return op.finish(y, {gate.value(), gate.requires_grad() ? up.value() : Tensor()}, [](Backward& back) {
    const Tensor& dy = back.dout();
    Tensor dgate = back.want(0) ? Tensor::empty(dy.shape(), dy.dtype()) : Tensor();
    Tensor dup = back.want(1) ? Tensor::empty(dy.shape(), dy.dtype()) : Tensor();
    kernels::swiglu_backward({back.saved(0), back.saved(1), dy, dgate, dup});
    if (dgate.defined()) back.give(0, dgate);
    if (dup.defined()) back.give(1, dup);
  });
}

Var composed::swiglu(const Var& gate, const Var& up) { return ops::mul(ops::silu(gate), up); }

}  // namespace blalm::ops
