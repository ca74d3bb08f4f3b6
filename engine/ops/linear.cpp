// Linear layers that read the same x: y_j = x W_jᵀ + c_j with x [N, in], W_j [out_j, in], c_j [out_j].
//   dx = Σ_j dy_j W_j      dW_j = dy_jᵀ x      dc_j = Σ_rows dy_j
// For bf16 x the master weight is f32: products run on a bf16 copy of it, sums and dW are f32.
#include <algorithm>
#include <string>

#include "engine/autograd/op.h"
#include "engine/kernels/linear.h"
#include "engine/kernels/reduce.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

void check_layer(const Var& x, const LinearLayer& layer) {
  check_rank("linear", "weight", layer.weight, 2);
  const std::int64_t out = layer.weight.dim(0), in = layer.weight.dim(1);
  const Tensor& weight = layer.weight.value();
  if (x.dim(-1) != in)
    fail("linear", "x [..., " + std::to_string(in) + "] for weight " + weight.str(), x.value().str());
  if (weight.dtype() != x.dtype()) check_dtype("linear", "weight", weight, compute_dtype(x.dtype()));
  if (layer.out && *layer.out != x.dtype() && *layer.out != compute_dtype(x.dtype()))
    fail("linear", "a result in the dtype of x or its compute dtype", name_of(*layer.out));
  if (layer.bias.defined()) {
    check_shape("linear", "bias", layer.bias.value(), {out});
    check_dtype("linear", "bias", layer.bias.value(), compute_dtype(x.dtype()));
  }
}

DType out_dtype(const Var& x, const LinearLayer& layer) { return layer.out.value_or(x.dtype()); }

// Σ_rows dy, in its compute dtype.
Tensor column_sums(const Tensor& dy) {
  Tensor sums = Tensor::empty({dy.dim(1)}, compute_dtype(dy.dtype()));
  kernels::reduce({kernels::Reduce::sum, dy, sums, 1, dy.dim(0), dy.dim(1)});
  return sums;
}

// Inputs of the node: x, then weight and bias of each layer.
void backward(Backward& back, int layers) {
  kernels::LinearDataArgs data;
  kernels::LinearWeightArgs weights;
  for (int j = 0; j < layers; ++j) {
    if (!back.has_dout(j)) continue;
    const Tensor dy = as_rows(back.dout(j));
    if (back.want(0)) data.terms.push_back({dy, back.saved(1 + j)});
    if (back.want(1 + 2 * j)) {
      const auto [dw, add] = back.slot(1 + 2 * j);
      weights.outputs.push_back({dy, dw, add});
    }
    if (back.want(2 + 2 * j)) back.give(2 + 2 * j, column_sums(dy));
  }
  if (!data.terms.empty()) {
    const auto [dx, add] = back.slot(0);
    data.dx = as_rows(dx);
    data.add = add;
    kernels::linear_data(data);
  }
  if (!weights.outputs.empty()) {
    weights.x = as_rows(back.saved(0));
    kernels::linear_weight(weights);
  }
}

}  // namespace

std::vector<Var> linears(const Var& x, std::span<const LinearLayer> layers, Where where) {
  check_floating("linear", "x", x);
  if (x.rank() < 1) fail("linear", "x with at least one axis", x.value().str());
  std::vector<Var> inputs = {x};
  for (const LinearLayer& layer : layers) {
    check_layer(x, layer);
    inputs.push_back(layer.weight);
    inputs.push_back(layer.bias);
  }
  if (kernel_policy().composed) {
    std::vector<Var> results;
    for (const LinearLayer& layer : layers) {
      const Var as = cast(x, out_dtype(x, layer));
      results.push_back(composed::linear(as, layer.weight, layer.bias));
    }
    return results;
  }

  Op op("linear", inputs, where);
  kernels::LinearArgs args{as_rows(x.value()), {}, op.recording() && x.requires_grad()};
  std::vector<Tensor> outputs, saved = {Tensor()};
  double flops = 0;
  for (const LinearLayer& layer : layers) {
    const Tensor& weight = layer.weight.value();
    outputs.push_back(Tensor::empty(x.shape().with(-1, weight.dim(0)), out_dtype(x, layer)));
    args.outputs.push_back({weight, layer.bias.value(), as_rows(outputs.back())});
    if (layer.weight.requires_grad()) saved[0] = x.value();
    saved.push_back(x.requires_grad() ? weight : Tensor());
    flops += 2.0 * static_cast<double>(args.x.dim(0)) * static_cast<double>(weight.numel());
  }
  op.ran(kernels::linear(args));
  op.flops(flops);
  const int count = static_cast<int>(layers.size());
  return op.finish(outputs, std::move(saved), [count](Backward& back) { backward(back, count); });
}

Var linear(const Var& x, const Var& weight, const Var& bias, Where where) {
  return linear_to(x.dtype(), x, weight, bias, where);
}

Var linear_to(DType out_dtype, const Var& x, const Var& weight, const Var& bias, Where where) {
  const LinearLayer layer{weight, bias, out_dtype};
  return linears(x, {&layer, 1}, where)[0];
}

Var composed::linear(const Var& x, const Var& weight, const Var& bias) {
  const Var y = ops::matmul(x.rank() == 1 ? ops::reshape(x, {1, x.dim(0)}) : x, ops::cast(weight, x.dtype()),
                            {.transpose_b = true});
  const Var shaped = x.rank() == 1 ? ops::reshape(y, {weight.dim(0)}) : y;
  return bias.defined() ? ops::add(shaped, ops::cast(bias, x.dtype())) : shaped;
}

}  // namespace blalm::ops
