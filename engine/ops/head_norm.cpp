// Norm of each head, without bias, and the output gate (spec §5.7). x [B, T, H, E], w [H, E]; in each head, with n = E:
//   layer norm   μ = (1/n) Σ_e x_e   r = ((1/n) Σ_e (x_e - μ)² + eps)^-1/2   x̂ = (x - μ) r   y = w ⊙ x̂
//   RMSNorm      the same with μ = 0
//   none         y = x
// With u = w ⊙ dy:
//   dx = r (u - (1/n) Σ_e u_e - x̂ (1/n) Σ_e u_e x̂_e), without the mean of u for RMSNorm      dw[h] = Σ_{b,t} dy ⊙ x̂
// With the output gate after it, y = σ(g) ⊙ z, and a second branch s between them (spec §8, §10; modulation.cpp has ρ):
//   z = w ⊙ x̂ + ρ ⊙ s, or (1 - ρ) ⊙ w ⊙ x̂ + ρ ⊙ s      dg = dy ⊙ z ⊙ σ(g) (1 - σ(g))      dz = σ(g) ⊙ dy
//   ds = ρ ⊙ dz      dρ = Σ_{b,t} dz ⊙ s, or dz ⊙ (s - w ⊙ x̂)      and dz, or (1 - ρ) ⊙ dz, is the dy of the norm
#include "engine/autograd/op.h"
#include "engine/kernels/norm.h"
#include "engine/ops/check.h"
#include "engine/ops/modulation.h"

namespace blalm::ops {
namespace {

void check(const Var& x, const Var& weight, HeadNormKind kind) {
  check_rank("head_norm", "x", x, 4);
  const std::int64_t heads = x.dim(2), width = x.dim(3);
  if (width == 0) fail("head_norm", "heads that are not empty", x.value().str());
  if (kind == HeadNormKind::none) {
    if (weight.defined()) fail("head_norm", "no weight where there is no norm", weight.value().str());
    return;
  }
  check_shape("head_norm", "weight", weight.value(), {heads, width});
  check_dtype("head_norm", "weight", weight.value(), compute_dtype(x.dtype()));
}

kernels::HeadNormSteps steps(HeadNormKind kind) { return {kind == HeadNormKind::layer, kind != HeadNormKind::none}; }

// As the kernel has it: side.value by heads, ρ for each of its features.
kernels::HeadNormSide kernel_side(const Tensor& value, const Tensor& alpha, Modulation kind, const Shape& folded) {
  if (!value.defined()) return {};
  const std::int64_t heads = folded[1], width = folded[2];
  const Tensor rho = modulation_weights(kind, alpha, heads * width, compute_dtype(value.dtype()));
  return {value.reshape(folded), rho.reshape({heads, width}), kind == Modulation::convex};
}

// With or without a gate, of which y has the shape.
Var run(const char* name, const Var& x, const Var& weight, double eps, HeadNormKind kind, const Var& gate,
        const SideBranch& side, Where where) {
  const Shape folded = {x.dim(0) * x.dim(1), x.dim(2), x.dim(3)};
  const auto fold = [folded](const Tensor& t) { return t.defined() ? t.reshape(folded) : t; };
  const DType wide = compute_dtype(x.dtype());
  Op op(name, {x, weight, gate, side.window, side.alpha}, where);
  const Tensor y = Tensor::empty(gate.defined() ? gate.shape() : x.shape(), x.dtype());
  const Tensor stats = Tensor::empty({folded[0], folded[1], 2}, wide);
  const Tensor w = weight.defined() ? weight.value() : Tensor::full({folded[1], folded[2]}, 1, wide);
  op.ran(kernels::head_norm({fold(x.value()), w, fold(y), stats, eps, steps(kind), fold(gate.value()),
                             kernel_side(side.window.value(), side.alpha.value(), side.kind, folded)}));
  op.flops((head_norm_flops(kind) + (gate.defined() ? 5.0 : 0.0) +
            (side.window.defined() ? modulation_flops(side.kind) : 0.0)) *
           static_cast<double>(y.numel()));
  const auto side_of = [folded, modulation = side.kind](Backward& back) {
    return kernel_side(back.saved(4), back.saved(5), modulation, folded);
  };
  op.remakes([=, shape = y.shape()](Backward& back) {
    const Tensor again = Tensor::empty(shape, back.saved(0).dtype());
    kernels::head_norm({fold(back.saved(0)), back.saved(1), fold(again),
                        Tensor::empty(back.saved(2).shape(), back.saved(2).dtype()), eps, steps(kind),
                        fold(back.saved(3)), side_of(back)});
    return again;
  });
  return op.finish(y, {x.value(), w, stats, gate.value(), side.window.value(), side.alpha.value()},
                   [=, modulation = side.kind](Backward& back) {
                     const Tensor& dy = back.dout();
                     const auto gradient = [&](int input, const Shape& shape, DType dtype) {
                       return back.want(input) ? Tensor::empty(shape, dtype) : Tensor();
                     };
                     const Tensor dx = gradient(0, back.saved(0).shape(), dy.dtype());
                     const Tensor dgate = gradient(2, dy.shape(), dy.dtype()),
                                  dwindow = gradient(3, dy.shape(), dy.dtype());
                     const Tensor drho = gradient(4, {folded[1], folded[2]}, wide);
                     const Backward::Slot dw = back.want(1) ? back.slot(1) : Backward::Slot();
                     kernels::head_norm_backward({fold(back.saved(0)), back.saved(1), back.saved(2), fold(dy), fold(dx),
                                                  dw.buffer, dw.add, eps, steps(kind), fold(back.saved(3)), fold(dgate),
                                                  side_of(back), fold(dwindow), drho});
                     if (dx.defined()) back.give(0, dx);
                     if (dgate.defined()) back.give(2, dgate);
                     if (dwindow.defined()) back.give(3, dwindow);
                     if (drho.defined())
                       back.give(4, alpha_gradient(modulation, back.saved(5), drho.reshape({folded[1] * folded[2]})));
                   });
}

}  // namespace

double head_norm_flops(HeadNormKind kind) {
  return kind == HeadNormKind::layer ? 8 : kind == HeadNormKind::rms ? 5 : 0;
}

Var head_norm(const Var& x, const Var& weight, double eps, HeadNormKind kind, Where where) {
  check(x, weight, kind);
  if (kind == HeadNormKind::none) return x;
  if (kernel_policy().composed) return composed::head_norm(x, weight, eps, kind);
  return run("head_norm", x, weight, eps, kind, {}, {}, where);
}

Var gated_head_norm(const Var& x, const Var& weight, const Var& gate, double eps, HeadNormKind kind,
                    std::span<const SideBranch> sides, Where where) {
  check(x, weight, kind);
  const Shape joined{x.dim(0), x.dim(1), x.dim(2) * x.dim(3)};
  check_shape("gated_head_norm", "gate", gate.value(), joined);
  check_same_dtype("gated_head_norm", "gate", gate, x);
  for (const SideBranch& side : sides)
    check_modulation("gated_head_norm", x, joined, side.window, side.alpha, side.kind);
  if (kernel_policy().composed) return composed::gated_head_norm(x, weight, gate, eps, kind, sides);
  if (sides.size() <= 1)
    return run("gated_head_norm", x, weight, eps, kind, gate, sides.empty() ? SideBranch{} : sides[0], where);
  // All but the last join one by one.
  Var h = reshape(head_norm(x, weight, eps, kind, where), joined, where);
  for (const SideBranch& side : sides.first(sides.size() - 1))
    h = modulate(h, side.window, side.alpha, side.kind, where);
  return run("gated_head_norm", reshape(h, x.shape(), where), {}, eps, HeadNormKind::none, gate, sides.back(), where);
}

// f32 in f64: dx is orthogonal to x but for eps, and the gradient of the mLSTM's input gate (ops/mlstm.cpp) needs it to
// be so to more digits than f32 products, each rounded for itself, leave of it.
Var composed::head_norm(const Var& x, const Var& weight, double eps, HeadNormKind kind) {
  if (kind == HeadNormKind::none) return x;
  const DType dtype = wide_dtype(weight.dtype());
  const Var wide = ops::cast(x, dtype);
  const Var centred = kind == HeadNormKind::layer ? ops::sub(wide, ops::mean(wide, -1, true)) : wide;
  const Var r = ops::rsqrt(ops::add_scalar(ops::mean(ops::square(centred), -1, true), eps));  // [B, T, H, 1]
  return ops::cast(ops::mul(ops::cast(weight, dtype), ops::mul(centred, r)), x.dtype());
}

Var composed::gated_head_norm(const Var& x, const Var& weight, const Var& gate, double eps, HeadNormKind kind,
                              std::span<const SideBranch> sides) {
  Var h = ops::reshape(composed::head_norm(x, weight, eps, kind), gate.shape());
  for (const SideBranch& side : sides) h = composed::modulate(h, side.window, side.alpha, side.kind);
  return ops::mul(ops::sigmoid(gate), h);
}

}  // namespace blalm::ops
