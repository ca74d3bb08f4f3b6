// Softmax over the last axis, x [..., n]:
//   y_j = e^(x_j - m) / Σ_i e^(x_i - m)      m = max_i x_i, which cancels and only keeps e^ from overflowing
//   dx_j = y_j (dy_j - Σ_i y_i dy_i)
#include "engine/kernels/softmax.h"

#include "engine/autograd/op.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {

Var softmax(const Var& x, Where where) {
  check_floating("softmax", "x", x);
  if (x.rank() < 1) fail("softmax", "x with at least one axis", x.value().str());
  if (kernel_policy().composed) return composed::softmax(x);

  Op op("softmax", {x}, where);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  op.ran(kernels::softmax({as_rows(x.value()), as_rows(y)}));
  op.flops(5.0 * static_cast<double>(y.numel()));
  return op.finish(y, {y}, [](Backward& back) {
    Tensor dx = Tensor::empty(back.dout().shape(), back.dout().dtype());
    kernels::softmax_backward({as_rows(back.saved(0)), as_rows(back.dout()), as_rows(dx)});
    back.give(0, dx);
  });
}

Var composed::softmax(const Var& x) {
  const Var e = ops::exp(ops::sub(x, max_constant(x.value(), -1, true)));
  return ops::div(e, ops::sum(e, -1, true));
}

}  // namespace blalm::ops
