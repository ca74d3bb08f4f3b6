// Short convolution (spec §7): causal and depthwise along time, fused with SiLU. x [B, T, C], w [C, K]:
//   z[b, t, c] = Σ_j w[c, j] x[b, t - (K-1) + j, c], x being 0 before the first position      y = silu(z), or z
// With dz = dy ⊙ silu'(z), or dy:
//   dx[b, t, c] = Σ_j w[c, j] dz[b, t + (K-1) - j, c], dz being 0 after the last position
//   dw[c, j] = Σ_{b,t} dz[b, t, c] x[b, t - (K-1) + j, c]
// z is not kept: K products bring it back more cheaply than memory would.
#include "blalm/kernels/short_conv.h"

#include <fmt/format.h>

#include "blalm/autograd/op.h"
#include "blalm/kernels/transpose.h"
#include "blalm/ops/check.h"
#include "blalm/ops/ops.h"

namespace blalm::ops {
namespace {

Tensor transposed(const Tensor& matrix) {
  Tensor t = Tensor::empty({matrix.dim(1), matrix.dim(0)}, matrix.dtype());
  kernels::transpose({matrix, t, {1, 0}});
  return t;
}

}  // namespace

Var short_conv(const Var& x, const Var& weight, bool silu, Where where) {
  check_rank("short_conv", "x", x, 3);
  check_rank("short_conv", "weight", weight, 2);
  if (weight.dim(0) != x.dim(2) || weight.dim(1) < 1)
    fail("short_conv", fmt::format("weight of [{}, K] with K of 1 or more", x.dim(2)), weight.value().str());
  check_dtype("short_conv", "weight", weight.value(), compute_dtype(x.dtype()));
  if (kernel_policy().composed) return composed::short_conv(x, weight, silu);

  Op op("short_conv", {x, weight}, where);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  op.ran(kernels::short_conv({x.value(), transposed(weight.value()), y, silu}));
  op.flops(static_cast<double>(y.numel()) * (2.0 * static_cast<double>(weight.dim(1)) + (silu ? 5.0 : 0.0)));
  return op.finish(y, {x.value(), weight.value()}, [silu](Backward& back) {
    const Tensor &dy = back.dout(), &w = back.saved(1);
    Tensor dx = back.want(0) ? Tensor::empty(dy.shape(), dy.dtype()) : Tensor();
    Tensor dtaps = back.want(1) ? Tensor::empty({w.dim(1), w.dim(0)}, w.dtype()) : Tensor();
    kernels::short_conv_backward({back.saved(0), transposed(w), dy, dx, dtaps, silu});
    if (dx.defined()) back.give(0, dx);
    if (dtaps.defined()) back.give(1, transposed(dtaps));
  });
}

Var composed::short_conv(const Var& x, const Var& weight, bool silu) {
  const std::int64_t B = x.dim(0), T = x.dim(1), C = x.dim(2), K = weight.dim(1);
  const Var parts[] = {Tensor::zeros({B, K - 1, C}, x.dtype()), x};
  const Var padded = ops::concat(parts, 1);  // [B, K-1+T, C]
  Var z;
  for (std::int64_t j = 0; j < K; ++j) {
    const Var tap = ops::reshape(ops::slice(weight, 1, j, j + 1), {C});
    const Var term = ops::mul(ops::slice(padded, 1, j, j + T), tap);
    z = j == 0 ? term : ops::add(z, term);
  }
  return ops::cast(silu ? ops::silu(z) : z, x.dtype());
}

}  // namespace blalm::ops
