// Output gate (spec §5.7), elementwise: y = σ(g) ⊙ x for gate g and x of one shape.
//   dg = dy ⊙ x ⊙ σ(g) (1 - σ(g))      dx = dy ⊙ σ(g)
#include "blalm/kernels/gate.h"

#include "blalm/autograd/op.h"
#include "blalm/ops/check.h"
#include "blalm/ops/ops.h"

namespace blalm::ops {

Var sigmoid_gate(const Var& x, const Var& gate, Where where) {
  check_floating("sigmoid_gate", "x", x);
  check_shape("sigmoid_gate", "gate", gate.value(), x.shape());
  check_same_dtype("sigmoid_gate", "gate", gate, x);
  if (kernel_policy().composed) return composed::sigmoid_gate(x, gate);

  Op op("sigmoid_gate", {x, gate}, where);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  op.ran(kernels::gated({kernels::Gate::sigmoid, gate.value(), x.value(), y}));
  op.flops(5.0 * static_cast<double>(y.numel()));
  // The gate is needed for both gradients, x for that of the gate alone; with both, y need not be kept.
  if (gate.requires_grad())
    op.remakes([](Backward& back) {
      const Tensor again = Tensor::empty(back.saved(0).shape(), back.saved(0).dtype());
      kernels::gated({kernels::Gate::sigmoid, back.saved(0), back.saved(1), again});
      return again;
    });
  return op.finish(y, {gate.value(), gate.requires_grad() ? x.value() : Tensor()}, [](Backward& back) {
    const Tensor& dy = back.dout();
    Tensor dx = back.want(0) ? Tensor::empty(dy.shape(), dy.dtype()) : Tensor();
    Tensor dgate = back.want(1) ? Tensor::empty(dy.shape(), dy.dtype()) : Tensor();
    kernels::gated_backward({kernels::Gate::sigmoid, back.saved(0), back.saved(1), dy, dgate, dx});
    if (dx.defined()) back.give(0, dx);
    if (dgate.defined()) back.give(1, dgate);
  });
}

Var composed::sigmoid_gate(const Var& x, const Var& gate) { return ops::mul(ops::sigmoid(gate), x); }

}  // namespace blalm::ops
