// Dynamic modulation (spec §10): the sum of the linear-attention branch l and the window branch s, both [..., C], with
// a learned weight. alpha [n]: entry g rules the channels [g·C/n, (g+1)·C/n). With ρ = ρ(alpha) spread over the
// channels:
//   y = l + ρ ⊙ s                    dl = dy            ds = ρ ⊙ dy      dρ_c = Σ_rows dy_c s_c
//   y = (1 - ρ) ⊙ l + ρ ⊙ s (convex) dl = (1 - ρ) ⊙ dy  ds = ρ ⊙ dy      dρ_c = Σ_rows dy_c (s_c - l_c)
//   dalpha_g = ρ'(alpha_g) Σ_{c of g} dρ_c
// As an operation of its own it is a composition: models let gated_head_norm (head_norm.cpp) join the branches.
// ρ' is 1 - ρ² for tanh, ρ(1 - ρ) for sigmoid and convex, 1 for raw, and for clamp 1 inside (0, 1), else 0.
#include "engine/ops/modulation.h"

#include <fmt/format.h>

#include <cmath>

#include "engine/kernels/vector_math.h"
#include "engine/ops/check.h"

namespace blalm::ops {
namespace {

template <class C>
C weight(Modulation kind, C alpha) {
  switch (kind) {
    case Modulation::tanh: return std::tanh(alpha);
    case Modulation::sigmoid:
    case Modulation::convex: return kernels::vec::logistic(alpha);
    case Modulation::clamp: return real_part(alpha) <= 0 ? C(0) : real_part(alpha) >= 1 ? C(1) : alpha;
    default: return alpha;
  }
}

template <class C>
C slope(Modulation kind, C alpha) {
  const C rho = weight(kind, alpha);
  switch (kind) {
    case Modulation::tanh: return C(1) - rho * rho;
    case Modulation::sigmoid:
    case Modulation::convex: return rho * (C(1) - rho);
    case Modulation::clamp: return real_part(alpha) > 0 && real_part(alpha) < 1 ? C(1) : C(0);
    default: return C(1);
  }
}

}  // namespace

Tensor modulation_weights(Modulation kind, const Tensor& alpha, std::int64_t channels, DType dtype) {
  if (kind == Modulation::fixed) return Tensor::full({channels}, 1, dtype);
  Tensor rho = Tensor::empty({channels}, dtype);
  visit_floating(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    T* out = rho.mutable_data<T>();
    const std::int64_t groups = alpha.numel(), size = groups == 0 ? 0 : channels / groups;
    for (std::int64_t g = 0; g < groups; ++g)
      std::fill_n(out + g * size, size, static_cast<T>(weight(kind, static_cast<C>(alpha.data<T>()[g]))));
  });
  return rho;
}

Tensor alpha_gradient(Modulation kind, const Tensor& alpha, const Tensor& drho) {
  Tensor dalpha = Tensor::empty(alpha.shape(), alpha.dtype());
  visit_floating(alpha.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *a = alpha.data<T>(), *d = drho.data<T>();
    T* out = dalpha.mutable_data<T>();
    const std::int64_t groups = alpha.numel(), size = groups == 0 ? 0 : drho.numel() / groups;
    for (std::int64_t g = 0; g < groups; ++g) {
      const C sum = kernels::vec::sum<C>(size, [=](std::int64_t c) { return static_cast<C>(d[g * size + c]); });
      out[g] = static_cast<T>(slope(kind, static_cast<C>(a[g])) * sum);
    }
  });
  return dalpha;
}

void check_modulation(std::string_view op, const Var& linear, const Shape& shape, const Var& window, const Var& alpha,
                      Modulation kind) {
  check_shape(op, "window", window.value(), shape);
  check_same_dtype(op, "window", window, linear);
  if (kind == Modulation::fixed) {
    if (alpha.defined()) fail(op, "no alpha for a fixed weight", alpha.value().str());
    return;
  }
  const std::int64_t channels = window.dim(-1);
  check_rank(op, "alpha", alpha, 1);
  check_dtype(op, "alpha", alpha.value(), compute_dtype(linear.dtype()));
  if (alpha.dim(0) < 1 || channels % alpha.dim(0) != 0)
    fail(op, fmt::format("alpha [n] with n a divisor of {} channels", channels), alpha.value().str());
}

double modulation_flops(Modulation kind) { return kind == Modulation::fixed ? 1 : kind == Modulation::convex ? 3 : 2; }

Var modulate(const Var& linear, const Var& window, const Var& alpha, Modulation kind, Where where) {
  check_floating("modulate", "linear", linear);
  if (linear.rank() < 1) fail("modulate", "linear with at least one axis", linear.value().str());
  check_modulation("modulate", linear, linear.shape(), window, alpha, kind);
  if (kind == Modulation::fixed) return add(linear, window, where);  // whose node says where
  return composed::modulate(linear, window, alpha, kind);
}

Var composed::modulate(const Var& linear, const Var& window, const Var& alpha, Modulation kind) {
  if (kind == Modulation::fixed) return ops::add(linear, window);
  Var rho = alpha;
  if (kind == Modulation::tanh) rho = ops::tanh(alpha);
  if (kind == Modulation::sigmoid || kind == Modulation::convex) rho = ops::sigmoid(alpha);
  if (kind == Modulation::clamp) {
    // max(0, alpha), then min(1, ·) = -max(-1, -·). At the ends the constants win, and no gradient flows.
    const auto constant = [&](double c) { return Var(Tensor::full(alpha.shape(), c, alpha.dtype())); };
    rho = ops::scale(ops::maximum(constant(-1), ops::scale(ops::maximum(constant(0), alpha), -1)), -1);
  }
  const std::int64_t groups = alpha.dim(0), size = linear.dim(-1) / groups;
  const Shape folded = linear.shape().with(-1, groups).with_inserted(linear.rank(), size);  // [..., n, C/n]
  const Var weight = ops::reshape(rho, {groups, 1});
  const Var l = ops::reshape(linear, folded), s = ops::mul(ops::reshape(window, folded), weight);
  const Var kept = kind == Modulation::convex ? ops::mul(l, ops::add_scalar(ops::scale(weight, -1), 1)) : l;
  return ops::cast(ops::reshape(ops::add(kept, s), linear.shape()), linear.dtype());
}

}  // namespace blalm::ops
