// Hedgehog feature maps (spec §11), y [..., F] -> φ [..., 2F], over the features of one position, never over time:
//   fla   φ = softmax([2y, -2y])                        dy = 2 (du₁ - du₂), du = φ ⊙ (dφ - φ·dφ)
//   lol   φ = max([softmax(y), softmax(-y)], 1e-12)     dy = du₁ - du₂, du_i = φ_i ⊙ (dφ_i - φ_i·dφ_i), 0 where held
//   exp   φ = [e^(y - max y), e^(min y - y)]            dy = φ₁ ⊙ dφ₁ - φ₂ ⊙ dφ₂, less φ₁·dφ₁ at the largest y, plus
//                                                       φ₂·dφ₂ at the smallest
// and with their projection, y = x Wᵀ + c. x [B, T, H, D]; W [F, D] for all heads, or [H, F, D], one a head:
//   dx = dy W      dW = dyᵀ x, over the positions (and heads) that share W      dc = Σ dy
#include "engine/kernels/hedgehog.h"

#include <fmt/format.h>

#include "engine/autograd/op.h"
#include "engine/kernels/matmul.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

constexpr double kLeast = 1e-12;  // of an entry of lol

kernels::Features kernel_map(FeatureMap map) {
  switch (map) {
    case FeatureMap::lol: return kernels::Features::separate;
    case FeatureMap::exp: return kernels::Features::exponential;
    default: return kernels::Features::joint;
  }
}

// [B, T, H, D] as matrices [B·T, D], one a head.
kernels::Matrices by_head(const Tensor& x, bool transposed = false) {
  return kernels::head_matrices(x.reshape({1, x.dim(0) * x.dim(1), x.dim(2), x.dim(3)}), transposed);
}

// y[b, t, h] = x[b, t, h] W[h]ᵀ: x [B, T, H, D], W [H, F, D].
Var project_heads(const Var& x, const Var& weight, Where where) {
  Op op("hedgehog", {x, weight}, where);
  const std::int64_t heads = weight.dim(0);
  Tensor y = Tensor::empty(x.shape().with(-1, weight.dim(1)), x.dtype());
  op.ran(kernels::matmul(
      {by_head(x.value()), kernels::matrices(weight.value().to(x.dtype()), true), by_head(y), 1, heads}));
  op.flops(2.0 * static_cast<double>(y.numel() * x.dim(3)));
  return op.finish(
      y, {weight.requires_grad() ? x.value() : Tensor(), x.requires_grad() ? weight.value() : Tensor()},
      [heads](Backward& back) {
        const Tensor& dy = back.dout();
        if (back.want(0)) {
          const auto [dx, add] = back.slot(0);
          kernels::matmul(
              {by_head(dy), kernels::matrices(back.saved(1).to(dy.dtype())), by_head(dx), 1, heads, 1.0, add});
        }
        if (back.want(1)) {
          const auto [dw, add] = back.slot(1);
          kernels::matmul({by_head(dy, true), by_head(back.saved(0)), kernels::matrices(dw), 1, heads, 1.0, add});
        }
      });
}

}  // namespace

Var hedgehog_features(const Var& y, FeatureMap map, Where where) {
  check_floating("hedgehog_features", "y", y);
  if (y.rank() < 1 || y.dim(-1) == 0) fail("hedgehog_features", "y with at least one feature", y.value().str());
  if (kernel_policy().composed) return composed::hedgehog_features(y, map);

  Op op("hedgehog_features", {y}, where);
  Tensor phi = Tensor::empty(y.shape().with(-1, 2 * y.dim(-1)), y.dtype());
  op.ran(kernels::hedgehog({kernel_map(map), as_rows(y.value()), as_rows(phi)}));
  op.flops(5.0 * static_cast<double>(phi.numel()));
  return op.finish(phi, {phi, map == FeatureMap::exp ? y.value() : Tensor()}, [map](Backward& back) {
    const Tensor &phi = back.saved(0), &y = back.saved(1);
    Tensor dy = Tensor::empty(phi.shape().with(-1, phi.dim(-1) / 2), phi.dtype());
    kernels::hedgehog_backward(
        {kernel_map(map), y.defined() ? as_rows(y) : y, as_rows(phi), as_rows(back.dout()), as_rows(dy)});
    back.give(0, dy);
  });
}

Var hedgehog(const Var& x, const Var& weight, const Var& bias, FeatureMap map, Where where) {
  check_rank("hedgehog", "x", x, 4);
  check_floating("hedgehog", "weight", weight);
  const std::int64_t heads = x.dim(2), width = x.dim(3);
  if (weight.rank() == 2 && weight.dim(1) == width)
    return hedgehog_features(linear(x, weight, bias, where), map, where);
  if (weight.rank() != 3 || weight.dim(0) != heads || weight.dim(2) != width)
    fail("hedgehog", fmt::format("weight of [F, {}] or [{}, F, {}]", width, heads, width), weight.value().str());
  if (bias.defined()) fail("hedgehog", "no bias with one weight a head", bias.value().str());
  if (weight.dtype() != x.dtype()) check_dtype("hedgehog", "weight", weight.value(), compute_dtype(x.dtype()));
  return hedgehog_features(project_heads(x, weight, where), map, where);
}

Var composed::hedgehog_features(const Var& y, FeatureMap map) {
  const auto pair = [](const Var& a, const Var& b) {
    const Var parts[] = {a, b};
    return ops::concat(parts, -1);
  };
  const Var negative = ops::scale(y, -1);
  if (map == FeatureMap::fla) return ops::softmax(ops::scale(pair(y, negative), 2));
  if (map == FeatureMap::lol)
    return ops::maximum(pair(ops::softmax(y), ops::softmax(negative)), Tensor::full({1}, kLeast, y.dtype()));
  const auto largest = [](const Var& v) {  // [..., 1]; the first of equal ones takes the gradient
    Var top = ops::slice(v, -1, 0, 1);
    for (std::int64_t j = 1; j < v.dim(-1); ++j) top = ops::maximum(top, ops::slice(v, -1, j, j + 1));
    return top;
  };
  return ops::exp(pair(ops::sub(y, largest(y)), ops::sub(negative, largest(negative))));
}

}  // namespace blalm::ops
