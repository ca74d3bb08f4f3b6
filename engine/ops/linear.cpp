// Linear layer: y = x Wᵀ + c with x [N, in], W [out, in], c [out].
//   dx = dy W      dW = dyᵀ x      dc = Σ_rows dy
// For bf16 x the master weight is f32: products run on a bf16 copy of it, sums and dW are f32.
#include "blalm/autograd/op.h"
#include "blalm/kernels/elementwise.h"
#include "blalm/kernels/matmul.h"
#include "blalm/kernels/reduce.h"
#include "blalm/ops/check.h"
#include "blalm/ops/ops.h"

namespace blalm::ops {
namespace {

using kernels::matrices;

std::string_view multiply(const Tensor& a, bool ta, const Tensor& b, bool tb, const Tensor& c, bool add = false) {
  return kernels::matmul({matrices(a, ta), matrices(b, tb), matrices(c), 1, 1, 1.0, add});
}

}  // namespace

Var linear(const Var& x, const Var& weight, const Var& bias, Where where) {
  check_floating("linear", "x", x);
  return linear_to(x.dtype(), x, weight, bias, where);
}

Var linear_to(DType out_dtype, const Var& x, const Var& weight, const Var& bias, Where where) {
  check_floating("linear", "x", x);
  check_rank("linear", "weight", weight, 2);
  if (x.rank() < 1) fail("linear", "x with at least one axis", x.value().str());
  const std::int64_t out = weight.dim(0), in = weight.dim(1);
  if (x.dim(-1) != in) fail("linear", "x [..., " + std::to_string(in) + "] for weight " + weight.value().str(), x.value().str());
  if (weight.dtype() != x.dtype()) check_dtype("linear", "weight", weight.value(), compute_dtype(x.dtype()));
  if (bias.defined()) {
    check_shape("linear", "bias", bias.value(), {out});
    check_dtype("linear", "bias", bias.value(), compute_dtype(x.dtype()));
  }
  if (out_dtype != x.dtype() && out_dtype != compute_dtype(x.dtype()))
    fail("linear", "a result in the dtype of x or its compute dtype", name_of(out_dtype));
  if (kernel_policy().composed && out_dtype == x.dtype()) return composed::linear(x, weight, bias);

  Op op("linear", {x, weight, bias}, where);
  const Tensor rows = as_rows(x.value());
  Tensor y = Tensor::empty(x.shape().with(-1, out), out_dtype);
  op.ran(multiply(rows, false, weight.value().to(x.dtype()), true, as_rows(y)));
  if (bias.defined()) {
    const Tensor row = bias.value().to(out_dtype), all = as_rows(y);
    kernels::binary({kernels::Binary::add, all, row, all});
  }
  op.flops(2.0 * static_cast<double>(rows.dim(0)) * static_cast<double>(in * out));
  return op.finish(y, {weight.requires_grad() ? x.value() : Tensor(), x.requires_grad() ? weight.value() : Tensor()},
                   [dtype = x.dtype(), shape = x.shape()](Backward& back) {
                     const Tensor dy = as_rows(back.dout()), dy_operand = dy.to(dtype);
                     if (back.want(0)) {
                       const auto [dx, add] = back.slot(0);
                       multiply(dy_operand, false, back.saved(1).to(dtype), false, as_rows(dx), add);
                     }
                     if (back.want(1)) {
                       const auto [dw, add] = back.slot(1);
                       multiply(dy_operand, true, as_rows(back.saved(0)), false, dw, add);
                     }
                     if (back.want(2)) {
                       // Summed in the compute dtype, whatever that of dy.
                       const Tensor wide = dy.to(compute_dtype(dtype));
                       Tensor db = Tensor::empty({dy.dim(1)}, wide.dtype());
                       kernels::reduce({kernels::Reduce::sum, wide, db, 1, dy.dim(0), dy.dim(1)});
                       back.give(2, db);
                     }
                   });
}

Var composed::linear(const Var& x, const Var& weight, const Var& bias) {
  const Var y = ops::matmul(x.rank() == 1 ? ops::reshape(x, {1, x.dim(0)}) : x, ops::cast(weight, x.dtype()), {.transpose_b = true});
  const Var shaped = x.rank() == 1 ? ops::reshape(y, {weight.dim(0)}) : y;
  return bias.defined() ? ops::add(shaped, ops::cast(bias, x.dtype())) : shaped;
}

}  // namespace blalm::ops
