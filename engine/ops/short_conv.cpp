// Short convolution (spec §7): causal and depthwise along time, fused with SiLU. x [B, T, C], w [C, K]:
//   z[b, t, c] = Σ_j w[c, j] x[b, t - (K-1) + j, c], x being 0 before the first position      y = silu(z), or z
// With dz = dy ⊙ silu'(z), or dy:
//   dx[b, t, c] = Σ_j w[c, j] dz[b, t + (K-1) - j, c], dz being 0 after the last position
//   dw[c, j] = Σ_{b,t} dz[b, t, c] x[b, t - (K-1) + j, c]
// z is not kept: K products bring it back more cheaply than memory would.
#include "engine/kernels/short_conv.h"

#include <fmt/format.h>

#include "engine/autograd/op.h"
#include "engine/kernels/transpose.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

Tensor transposed(const Tensor& matrix) {
  Tensor t = Tensor::empty({matrix.dim(1), matrix.dim(0)}, matrix.dtype());
  kernels::transpose({matrix, t, {1, 0}});
  return t;
}

void check(const ConvStream& stream, const Var& first) {
  const Var &x = stream.x, &weight = stream.weight;
  check_rank("short_conv", "x", x, 3);
  check_shape("short_conv", "x", x.value(), {first.dim(0), first.dim(1), x.dim(2)});
  check_same_dtype("short_conv", "x", x, first);
  check_rank("short_conv", "weight", weight, 2);
  if (weight.dim(0) != x.dim(2) || weight.dim(1) < 1)
    fail("short_conv", fmt::format("weight of [{}, K] with K of 1 or more", x.dim(2)), weight.value().str());
  check_dtype("short_conv", "weight", weight.value(), compute_dtype(x.dtype()));
}

// Inputs of the node, and what it saves: x and weight of each stream.
void backward(Backward& back, int streams, bool silu) {
  kernels::ShortConvBackwardArgs args{{}, silu};
  std::vector<int> weights;  // the input that each of args.streams has as its weight
  for (int j = 0; j < streams; ++j) {
    const int x = 2 * j, weight = 2 * j + 1;
    if (!back.has_dout(j) || (!back.want(x) && !back.want(weight))) continue;
    const Tensor &dy = back.dout(j), &w = back.saved(weight);
    args.streams.push_back({back.saved(x), transposed(w), dy,
                            back.want(x) ? Tensor::empty(dy.shape(), dy.dtype()) : Tensor(),
                            back.want(weight) ? Tensor::empty({w.dim(1), w.dim(0)}, w.dtype()) : Tensor()});
    weights.push_back(weight);
  }
  if (args.streams.empty()) return;
  kernels::short_conv_backward(args);
  for (std::size_t j = 0; j < weights.size(); ++j) {
    const auto& stream = args.streams[j];
    if (stream.dx.defined()) back.give(weights[j] - 1, stream.dx);
    if (stream.dtaps.defined()) back.give(weights[j], transposed(stream.dtaps));
  }
}

}  // namespace

std::vector<Var> short_convs(std::span<const ConvStream> streams, bool silu, Where where) {
  if (streams.empty()) return {};
  for (const ConvStream& stream : streams) check(stream, streams[0].x);
  if (kernel_policy().composed) {
    std::vector<Var> results;
    for (const ConvStream& stream : streams) results.push_back(composed::short_conv(stream.x, stream.weight, silu));
    return results;
  }

  std::vector<Var> inputs;
  for (const ConvStream& stream : streams) inputs.insert(inputs.end(), {stream.x, stream.weight});
  Op op("short_conv", inputs, where);
  kernels::ShortConvArgs args{{}, silu};
  std::vector<Tensor> outputs, saved;
  double flops = 0;
  for (const ConvStream& stream : streams) {
    const Tensor &x = stream.x.value(), &weight = stream.weight.value();
    outputs.push_back(Tensor::empty(x.shape(), x.dtype()));
    args.streams.push_back({x, transposed(weight), outputs.back()});
    saved.insert(saved.end(), {x, weight});
    flops += static_cast<double>(x.numel()) * (2.0 * static_cast<double>(weight.dim(1)) + (silu ? 5.0 : 0.0));
  }
  op.ran(kernels::short_conv(args));
  op.flops(flops);
  return op.finish(outputs, std::move(saved),
                   [count = static_cast<int>(streams.size()), silu](Backward& back) { backward(back, count, silu); });
}

Var short_conv(const Var& x, const Var& weight, bool silu, Where where) {
  const ConvStream stream{x, weight};
  return short_convs({&stream, 1}, silu, where)[0];
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
