// Head norm (spec §5.7): layer norm without bias of each head. x [B, T, H, E], w [H, E]; in each head, with n = E:
//   μ = (1/n) Σ_e x_e      r = ((1/n) Σ_e (x_e - μ)² + eps)^-1/2      x̂ = (x - μ) r      y = w ⊙ x̂
// With u = w ⊙ dy:
//   dx = r (u - (1/n) Σ_e u_e - x̂ (1/n) Σ_e u_e x̂_e)      dw[h] = Σ_{b,t} dy ⊙ x̂
#include "blalm/autograd/op.h"
#include "blalm/kernels/norm.h"
#include "blalm/ops/check.h"
#include "blalm/ops/ops.h"

namespace blalm::ops {

Var head_norm(const Var& x, const Var& weight, double eps, Where where) {
  check_rank("head_norm", "x", x, 4);
  const std::int64_t heads = x.dim(2), width = x.dim(3), positions = x.dim(0) * x.dim(1);
  if (width == 0) fail("head_norm", "heads that are not empty", x.value().str());
  check_shape("head_norm", "weight", weight.value(), {heads, width});
  check_dtype("head_norm", "weight", weight.value(), compute_dtype(x.dtype()));
  if (kernel_policy().composed) return composed::head_norm(x, weight, eps);

  Op op("head_norm", {x, weight}, where);
  const Shape folded = {positions, heads, width};
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  Tensor stats = Tensor::empty({positions, heads, 2}, compute_dtype(x.dtype()));
  op.ran(kernels::head_norm({x.value().reshape(folded), weight.value(), y.reshape(folded), stats, eps}));
  op.flops(8.0 * static_cast<double>(y.numel()));
  return op.finish(y, {x.value(), weight.value(), stats}, [folded, eps](Backward& back) {
    const Tensor& dy = back.dout();
    Tensor dx = back.want(0) ? Tensor::empty(dy.shape(), dy.dtype()) : Tensor();
    const Backward::Slot dw = back.want(1) ? back.slot(1) : Backward::Slot();
    kernels::head_norm_backward({back.saved(0).reshape(folded), back.saved(1), back.saved(2), dy.reshape(folded),
                                 dx.defined() ? dx.reshape(folded) : Tensor(), dw.buffer, dw.add, eps});
    if (dx.defined()) back.give(0, dx);
  });
}

// f32 in f64: dx is orthogonal to x but for eps, and the gradient of the mLSTM's input gate (ops/mlstm.cpp) needs it to
// be so to more digits than f32 products, each rounded for itself, leave of it.
Var composed::head_norm(const Var& x, const Var& weight, double eps) {
  const DType dtype = wide_dtype(weight.dtype());
  const Var wide = ops::cast(x, dtype);
  const Var centred = ops::sub(wide, ops::mean(wide, -1, true));
  const Var r = ops::rsqrt(ops::add_scalar(ops::mean(ops::square(centred), -1, true), eps));  // [B, T, H, 1]
  return ops::cast(ops::mul(ops::cast(weight, dtype), ops::mul(centred, r)), x.dtype());
}

}  // namespace blalm::ops
