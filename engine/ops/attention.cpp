// Causal softmax attention (spec §4.5, §8, §9). For each batch and head, with the keys s that position t sees,
// s <= t and (window = 0 or t - s < window or s < memory):
//   S_ts = scale q_t · k_s      L_t = log Σ_s exp S_ts      P_ts = exp(S_ts - L_t)      o_t = Σ_s P_ts v_s
//   q [B, Tq, H, D]   k [B, Tk, G, D]   v [B, Tk, G, E]   o [B, Tq, H, E]   L [B, H, Tq]
// Only L and o are kept; the probabilities are computed again. With dP_ts = do_t · v_s and δ_t = do_t · o_t:
//   dS = P ⊙ (dP - δ)    dq_t = scale Σ_s dS_ts k_s    dk_s = scale Σ_t dS_ts q_t    dv_s = Σ_t P_ts do_t
// where dk and dv sum over the H / G query heads that share a key head.
#include "engine/kernels/attention.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "engine/autograd/op.h"
#include "engine/core/error.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

void check(const Var& q, const Var& k, const Var& v, const AttentionOptions& options) {
  constexpr const char* kOp = "attention";
  check_rank(kOp, "q", q, 4);
  check_rank(kOp, "k", k, 4);
  check_rank(kOp, "v", v, 4);
  check_same_dtype(kOp, "k", k, q);
  check_same_dtype(kOp, "v", v, q);
  const std::int64_t batch = q.dim(0), keys = k.dim(1), groups = k.dim(2);
  if (q.dim(3) == 0) fail(kOp, "at least one feature a head", q.value().str());
  if (groups == 0 || q.dim(2) % groups != 0)
    fail(kOp, "key heads that divide the query heads", fmt::format("{} for {}", groups, q.dim(2)));
  check_shape(kOp, "k", k.value(), {batch, keys, groups, q.dim(3)});
  check_shape(kOp, "v", v.value(), {batch, keys, groups, v.dim(3)});
  if (q.dim(1) > keys) fail(kOp, "no more queries than keys", fmt::format("{} and {}", q.dim(1), keys));
  if (options.window < 0)
    throw ConfigError(
        expected_got(kOp, "a window of 0 or more", fmt::format("{}", options.window), "0 sees all positions"));
  if (options.memory < 0)
    throw ConfigError(expected_got(kOp, "a memory of 0 or more", fmt::format("{}", options.memory)));
  if (options.memory > 0 && options.window == 0)
    throw ConfigError(expected_got(kOp, "a window above 0 with memory",
                                   fmt::format("window 0, memory {}", options.memory),
                                   "without a window every position is seen"));
}

double scale_of(const AttentionOptions& options, const Var& q) {
  return options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(q.dim(3)));
}

}  // namespace

Var attention(const Var& q, const Var& k, const Var& v, AttentionOptions options, Where where) {
  check(q, k, v, options);
  if (kernel_policy().composed) return composed::attention(q, k, v, options);

  Op op("attention", {q, k, v}, where);
  const kernels::Band band{options.window, options.memory};
  const double scale = scale_of(options, q);
  Tensor o = Tensor::empty(q.shape().with(3, v.dim(3)), q.dtype());
  Tensor lse = Tensor::empty({q.dim(0), q.dim(2), q.dim(1)}, compute_dtype(q.dtype()));
  const kernels::AttentionArgs args{q.value(), k.value(), v.value(), o, lse, band, scale};
  op.ran(kernels::attention(args));
  op.flops(2.0 * static_cast<double>(q.dim(0) * q.dim(2) * (q.dim(3) + v.dim(3))) *
           static_cast<double>(kernels::visible_pairs(band, args.first_query(), q.dim(1))));
  return op.finish(o, {q.value(), k.value(), v.value(), o, lse}, [band, scale](Backward& back) {
    const auto like = [&](int input) {
      const Tensor& x = back.saved(input);
      return back.want(input) ? Tensor::empty(x.shape(), x.dtype()) : Tensor();
    };
    const Tensor dq = like(0), dk = like(1), dv = like(2);
    kernels::attention_backward({back.saved(0), back.saved(1), back.saved(2), back.saved(3), back.saved(4), back.dout(),
                                 dq, dk, dv, band, scale});
    if (dq.defined()) back.give(0, dq);
    if (dk.defined()) back.give(1, dk);
    if (dv.defined()) back.give(2, dv);
  });
}

Var composed::attention(const Var& q, const Var& k, const Var& v, AttentionOptions options) {
  const std::int64_t queries = q.dim(1), keys = k.dim(1), shared = q.dim(2) / k.dim(2);
  Tensor mask = Tensor::full({queries, keys}, 0, DType::f64);  // [Tq, Tk], added to the scores
  double* m = mask.mutable_data<double>();
  for (std::int64_t i = 0; i < queries; ++i)
    for (std::int64_t s = 0; s < keys; ++s) {
      const std::int64_t t = keys - queries + i;
      const bool visible = s <= t && (options.window == 0 || t - s < options.window || s < options.memory);
      if (!visible) m[i * keys + s] = -std::numeric_limits<double>::infinity();
    }
  const auto by_head = [](const Var& x) { return ops::transpose(x, {0, 2, 1, 3}); };  // [B, H, T, ·]
  const Var all_keys = by_head(ops::repeat_heads(k, shared)), all_values = by_head(ops::repeat_heads(v, shared));
  const Var scores = ops::matmul(by_head(q), all_keys, {false, true, scale_of(options, q)});  // [B, H, Tq, Tk]
  const Var p = ops::softmax(ops::add(scores, mask.to(q.dtype())));
  return by_head(ops::matmul(p, all_values));
}

}  // namespace blalm::ops
