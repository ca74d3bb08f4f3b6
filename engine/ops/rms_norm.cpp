// RMSNorm (spec §4.2), over the last axis of size d:
//   r = (mean_j x_j² + eps)^-1/2        y = w ⊙ x r
// With u = w ⊙ dy:
//   dx = r u - x (r³ / d) Σ_j u_j x_j   dw = Σ_rows dy ⊙ x r
#include "blalm/autograd/op.h"
#include "blalm/kernels/norm.h"
#include "blalm/ops/check.h"
#include "blalm/ops/ops.h"

namespace blalm::ops {

Var rms_norm(const Var& x, const Var& weight, double eps, Where where) {
  check_floating("rms_norm", "x", x);
  return rms_norm_to(x.dtype(), x, weight, eps, where);
}

Var rms_norm_to(DType out_dtype, const Var& x, const Var& weight, double eps, Where where) {
  check_floating("rms_norm", "x", x);
  if (x.rank() < 1) fail("rms_norm", "x with at least one axis", x.value().str());
  check_shape("rms_norm", "weight", weight.value(), {x.dim(-1)});
  check_dtype("rms_norm", "weight", weight.value(), compute_dtype(x.dtype()));
  const bool mixed = out_dtype != x.dtype();
  if (mixed && (compute_dtype(x.dtype()) != DType::f32 || compute_dtype(out_dtype) != DType::f32))
    fail("rms_norm", compute_dtype(x.dtype()) == DType::f32 ? "a result in f32 or bf16" : "a result in the dtype of x",
         name_of(out_dtype));
  if (kernel_policy().composed && !mixed) return composed::rms_norm(x, weight, eps);

  Op op("rms_norm", {x, weight}, where);
  const Tensor rows = as_rows(x.value());
  Tensor y = Tensor::empty(x.shape(), out_dtype);
  Tensor rrms = Tensor::empty({rows.dim(0)}, compute_dtype(x.dtype()));
  op.ran(kernels::rms_norm({rows, weight.value(), as_rows(y), rrms, eps}));
  op.flops(4.0 * static_cast<double>(y.numel()));
  return op.finish(y, {x.value(), weight.value(), rrms}, [](Backward& back) {
    const Tensor& dy = back.dout();
    Tensor dx = back.want(0) ? Tensor::empty(dy.shape(), back.saved(0).dtype()) : Tensor();
    const Backward::Slot dw = back.want(1) ? back.slot(1) : Backward::Slot();
    kernels::rms_norm_backward({as_rows(back.saved(0)), back.saved(1), back.saved(2), as_rows(dy),
                                dx.defined() ? as_rows(dx) : Tensor(), dw.buffer, dw.add});
    if (dx.defined()) back.give(0, dx);
  });
}

Var composed::rms_norm(const Var& x, const Var& weight, double eps) {
  const Var r = ops::rsqrt(ops::add_scalar(ops::mean(ops::square(x), -1, true), eps));  // [..., 1]
  return ops::cast(ops::mul(weight, ops::mul(x, r)), x.dtype());
}

}  // namespace blalm::ops
