// Head norm (spec §5.7): layer norm without bias of each head. x [B, T, H, E], w [H, E]; in each head, with n = E:
//   μ = (1/n) Σ_e x_e      r = ((1/n) Σ_e (x_e - μ)² + eps)^-1/2      x̂ = (x - μ) r      y = w ⊙ x̂
// With u = w ⊙ dy:
//   dx = r (u - (1/n) Σ_e u_e - x̂ (1/n) Σ_e u_e x̂_e)      dw[h] = Σ_{b,t} dy ⊙ x̂
// and with the output gate after it, y = σ(g) ⊙ w ⊙ x̂: dg = dy ⊙ w ⊙ x̂ ⊙ σ(g) (1 - σ(g)), and σ(g) ⊙ dy takes the place
// of dy above.
#include "blalm/autograd/op.h"
#include "blalm/kernels/norm.h"
#include "blalm/ops/check.h"
#include "blalm/ops/ops.h"

namespace blalm::ops {

namespace {

void check(const Var& x, const Var& weight) {
  check_rank("head_norm", "x", x, 4);
  const std::int64_t heads = x.dim(2), width = x.dim(3);
  if (width == 0) fail("head_norm", "heads that are not empty", x.value().str());
  check_shape("head_norm", "weight", weight.value(), {heads, width});
  check_dtype("head_norm", "weight", weight.value(), compute_dtype(x.dtype()));
}

// With or without a gate, of which y has the shape.
Var run(const char* name, const Var& x, const Var& weight, const Var& gate, double eps, Where where) {
  const Shape folded = {x.dim(0) * x.dim(1), x.dim(2), x.dim(3)};
  const auto fold = [folded](const Tensor& t) { return t.defined() ? t.reshape(folded) : t; };
  Op op(name, {x, weight, gate}, where);
  const Tensor y = Tensor::empty(gate.defined() ? gate.shape() : x.shape(), x.dtype());
  const Tensor stats = Tensor::empty({folded[0], folded[1], 2}, compute_dtype(x.dtype()));
  op.ran(kernels::head_norm({fold(x.value()), weight.value(), fold(y), stats, eps, fold(gate.value())}));
  op.flops((gate.defined() ? 13.0 : 8.0) * static_cast<double>(y.numel()));
  op.remakes([fold, eps, shape = y.shape()](Backward& back) {
    const Tensor again = Tensor::empty(shape, back.saved(0).dtype());
    kernels::head_norm({fold(back.saved(0)), back.saved(1), fold(again),
                        Tensor::empty(back.saved(2).shape(), back.saved(2).dtype()), eps, fold(back.saved(3))});
    return again;
  });
  return op.finish(y, {x.value(), weight.value(), stats, gate.value()}, [fold, eps](Backward& back) {
    const Tensor& dy = back.dout();
    const auto gradient = [&](int input, const Tensor& like) {
      return back.want(input) ? Tensor::empty(like.shape(), like.dtype()) : Tensor();
    };
    const Tensor dx = gradient(0, back.saved(0)), dgate = gradient(2, dy);
    const Backward::Slot dw = back.want(1) ? back.slot(1) : Backward::Slot();
    kernels::head_norm_backward({fold(back.saved(0)), back.saved(1), back.saved(2), fold(dy), fold(dx), dw.buffer,
                                 dw.add, eps, fold(back.saved(3)), fold(dgate)});
    if (dx.defined()) back.give(0, dx);
    if (dgate.defined()) back.give(2, dgate);
  });
}

}  // namespace

Var head_norm(const Var& x, const Var& weight, double eps, Where where) {
  check(x, weight);
  if (kernel_policy().composed) return composed::head_norm(x, weight, eps);
  return run("head_norm", x, weight, {}, eps, where);
}

Var gated_head_norm(const Var& x, const Var& weight, const Var& gate, double eps, Where where) {
  check(x, weight);
  check_shape("gated_head_norm", "gate", gate.value(), {x.dim(0), x.dim(1), x.dim(2) * x.dim(3)});
  check_same_dtype("gated_head_norm", "gate", gate, x);
  if (kernel_policy().composed) return composed::gated_head_norm(x, weight, gate, eps);
  return run("gated_head_norm", x, weight, gate, eps, where);
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

Var composed::gated_head_norm(const Var& x, const Var& weight, const Var& gate, double eps) {
  return sigmoid_gate(ops::reshape(head_norm(x, weight, eps), gate.shape()), gate);
}

}  // namespace blalm::ops
