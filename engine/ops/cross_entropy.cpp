// Cross-entropy in nats (spec §3.4), for logits z [N, V] and targets x [N]:
//   loss = (1/n) Σ_{i: x_i ≠ ignore} ( log Σ_v e^{z_iv} - z_{i,x_i} )      n = number of targets that count
//   dz = (softmax(z) - onehot(x)) / n,  0 in rows that are ignored
// The head fused with it, z = h Wᵀ: a chunk of rows at a time makes its logits, its losses and at once the gradients
// dh = dz W and dW += dzᵀ h, so that logits never exist as a whole. The backward pass only scales what was kept.
#include "engine/kernels/cross_entropy.h"

#include <algorithm>
#include <string>

#include "engine/autograd/op.h"
#include "engine/core/error.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/reduce.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

// Bytes of logits, in the dtype of x, in one chunk. Each chunk reads the head's weight and adds to all of its gradient:
// with few rows that would cost more than the products.
constexpr std::int64_t kChunkBytes = std::int64_t{32} << 20;

// Checks targets [rows] against the vocabulary; returns how many count.
std::int64_t count_targets(const char* op, const Tensor& targets, std::int64_t rows, std::int64_t vocabulary) {
  check_dtype(op, "targets", targets, DType::i32);
  check_shape(op, "targets", targets, {rows});
  std::int64_t count = 0;
  for (const std::int32_t t : targets.values<std::int32_t>()) {
    if (t < kIgnore || t >= vocabulary)
      throw DataError(expected_got(op, "targets in [-1, " + std::to_string(vocabulary) + ")", std::to_string(t)));
    count += t != kIgnore ? 1 : 0;
  }
  return count;
}

// Sum of [n] losses, in their order, as a tensor [] times factor.
Tensor scaled_sum(const Tensor& losses, double factor) {
  Tensor loss = Tensor::empty({}, losses.dtype());
  kernels::reduce({kernels::Reduce::sum, losses, loss, 1, losses.numel(), 1});
  kernels::unary({kernels::Unary::scale, factor, loss, loss});
  return loss;
}

void check_head(const char* op, const Var& x, const Var& weight) {
  check_rank(op, "x", x, 2);
  check_rank(op, "weight", weight, 2);
  if (weight.dim(1) != x.dim(1))
    fail(op, "x [N, " + std::to_string(weight.dim(1)) + "] for weight " + weight.value().str(), x.value().str());
  if (weight.dtype() != x.dtype()) check_dtype(op, "weight", weight.value(), compute_dtype(x.dtype()));
}

// Rows of a chunk: a multiple of 32, which suits products, unless the caller says otherwise.
std::int64_t chunk_rows(const HeadLossOptions& options, const Tensor& x, std::int64_t vocabulary) {
  if (options.rows > 0) return options.rows;
  const std::int64_t row_bytes = std::max<std::int64_t>(vocabulary, 1) * size_of(x.dtype());
  return std::max<std::int64_t>(kChunkBytes / row_bytes / 32, 1) * 32;
}

}  // namespace

Var cross_entropy(const Var& logits, const Tensor& targets, Where where) {
  check_rank("cross_entropy", "logits", logits, 2);
  const std::int64_t rows = logits.dim(0), count = count_targets("cross_entropy", targets, rows, logits.dim(1));
  if (kernel_policy().composed) return composed::cross_entropy(logits, targets);
  Op op("cross_entropy", {logits}, where);
  const DType wide = compute_dtype(logits.dtype());
  Tensor losses = Tensor::empty({rows}, wide), lse = Tensor::empty({rows}, wide);
  op.ran(kernels::cross_entropy({logits.value(), targets, losses, lse, 0}));
  op.flops(4.0 * static_cast<double>(logits.value().numel()));
  const double factor = count == 0 ? 0 : 1.0 / static_cast<double>(count);
  return op.finish(scaled_sum(losses, factor), {logits.value(), targets, lse}, [factor](Backward& back) {
    Tensor dz = Tensor::empty(back.saved(0).shape(), back.saved(0).dtype());
    kernels::cross_entropy_backward({back.saved(0), back.saved(1), back.saved(2), dz, factor * back.dout().item(), 0});
    back.give(0, dz);
  });
}

Var linear_cross_entropy(const Var& x, const Var& weight, const Tensor& targets, HeadLossOptions options, Where where) {
  check_head("linear_cross_entropy", x, weight);
  const std::int64_t rows = x.dim(0), d = x.dim(1), vocabulary = weight.dim(0);
  const std::int64_t count = count_targets("linear_cross_entropy", targets, rows, vocabulary);
  if (kernel_policy().composed) return composed::linear_cross_entropy(x, weight, targets, options);

  Op op("linear_cross_entropy", {x, weight}, where);
  const DType wide = compute_dtype(x.dtype());
  const Tensor& w = weight.value();
  const double factor = count == 0 ? 0 : 1.0 / static_cast<double>(count);
  Tensor losses = Tensor::empty({rows}, wide);
  Tensor dx = op.recording() && x.requires_grad() ? Tensor::empty(x.shape(), x.dtype()) : Tensor();
  Tensor dw = op.recording() && weight.requires_grad() ? Tensor::empty(weight.shape(), wide) : Tensor();
  if (dw.defined() && rows == 0) dw.fill(0);
  const std::int64_t step = chunk_rows(options, x.value(), vocabulary);
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const std::int64_t end = std::min(begin + step, rows);
    const Tensor dxs = dx.defined() ? dx.rows(begin, end) : Tensor();
    op.ran(kernels::head_loss({x.value().rows(begin, end), w, targets.rows(begin, end), losses.rows(begin, end), factor,
                               options.soft_cap, dxs, dw, begin > 0}));
  }
  op.flops(2.0 * static_cast<double>(rows) * static_cast<double>(d * vocabulary));
  return op.finish(scaled_sum(losses, factor), {dx, dw}, [](Backward& back) {
    const double dloss = back.dout().item();
    for (int i = 0; i < 2; ++i) {
      if (!back.want(i)) continue;
      Tensor kept = back.take_saved(i);
      if (dloss != 1) kernels::unary({kernels::Unary::scale, dloss, kept, kept});
      back.give(i, std::move(kept));
    }
  });
}

Tensor token_losses(const Tensor& x, const Tensor& weight, const Tensor& targets, HeadLossOptions options) {
  check_head("token_losses", x, weight);
  const std::int64_t rows = x.dim(0), vocabulary = weight.dim(0);
  count_targets("token_losses", targets, rows, vocabulary);
  Tensor losses = Tensor::empty({rows}, compute_dtype(x.dtype()));
  const std::int64_t step = chunk_rows(options, x, vocabulary);
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const std::int64_t end = std::min(begin + step, rows);
    const Tensor no_gradient;
    kernels::head_loss({x.rows(begin, end), weight, targets.rows(begin, end), losses.rows(begin, end), 0,
                        options.soft_cap, no_gradient, no_gradient, false});
  }
  return losses;
}

namespace composed {

Var cross_entropy(const Var& logits, const Tensor& targets) {
  const std::int64_t rows = logits.dim(0), vocabulary = logits.dim(1);
  const DType wide = compute_dtype(logits.dtype());
  Tensor onehot = Tensor::zeros({rows, vocabulary}, wide);
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    const std::int32_t t = targets.data<std::int32_t>()[i];
    if (t == kIgnore) continue;
    onehot.rows(i, i + 1).reshape({vocabulary}).rows(t, t + 1).fill(1);
    ++count;
  }
  if (count == 0) return ops::scale(ops::sum_all(ops::mul(ops::cast(logits, wide), onehot)), 0);
  const Var z = ops::sub(ops::cast(logits, wide), max_constant(logits.value().to(wide), -1, true));
  const Var log_sum = ops::log(ops::sum(ops::exp(z), -1, true));  // [N, 1]
  const Var picked = ops::mul(ops::sub(log_sum, z), onehot);      // -log p where onehot, else 0
  return ops::scale(ops::sum_all(picked), 1.0 / static_cast<double>(count));
}

Var linear_cross_entropy(const Var& x, const Var& weight, const Tensor& targets, HeadLossOptions options) {
  const Var logits = ops::linear_to(compute_dtype(x.dtype()), x, weight);
  return ops::cross_entropy(options.soft_cap > 0 ? ops::soft_cap(logits, options.soft_cap) : logits, targets);
}

}  // namespace composed
}  // namespace blalm::ops
