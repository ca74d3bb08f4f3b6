// The matrix LSTM (spec §5). A head carries a matrix C (D x E) and a vector n (D):
//   C_t = σ(f_t) C_{t-1} + exp(i_t) k_tᵀ v_t       n_t = σ(f_t) n_{t-1} + exp(i_t) k_t
//   h_t = q_t C_t / max(|q_t·n_t|, 1)              with q scaled by D^-1/2
// Written out over all positions, and with a factor exp(-m_t) taken from numerator and denominator so that no
// exponential overflows, this is attention whose weights come from the gates instead of a softmax:
//   A_ts = Σ_{s<u≤t} log σ(f_u) + i_s  for s ≤ t   m_t = max_s A_ts (or anything near it)
//   C̃_ts = scale (q_t·k_s) exp(A_ts - m_t)        a_t = Σ_s C̃_ts
//   N_t = max(|a_t|, exp(-m_t))                    h_t = Σ_s C̃_ts v_s / (N_t + eps)
// h does not depend on m when eps = 0; with eps the forms, each with its own m, differ by O(eps e^m).
//
// Gradient, m being a constant (exact when eps = 0, else up to the same O(eps e^m)):
//   ĝ_t = [g_t, δ_t]    g_t = dh_t / (N_t + eps)    δ_t = -[|a_t| > exp(-m_t)] sign(a_t) (dh_t·h_t) / (N_t + eps)
//   dC̃_ts = g_t·v_s + δ_t                          P_ts = dC̃_ts exp(A_ts - m_t)
//   dq_t = scale Σ_s P_ts k_s       dk_s = scale Σ_t P_ts q_t        dv_s = Σ_t C̃_ts g_t
//   di_s = Σ_t dC̃_ts C̃_ts = k_s·dk_s
//   df_u = σ(-f_u) Σ_{s<u≤t} dC̃_ts C̃_ts = σ(-f_u) Σ_{t≥u} (q_t·dq_t - k_t·dk_t)
// All rows of dA_ts = dC̃_ts C̃_ts together sum to what all columns do, and the sum of a row needs no products of gates:
//   Σ_s dA_ts = g_t·Σ_s C̃_ts v_s + δ_t a_t = (dh_t·h_t) (1 where the floor exp(-m_t) rules, else eps / (N_t + eps))
// A head norm after the mLSTM leaves almost nothing of either: the di of a sequence cancel to a thousandth of their
// size and less, and f32 products would drown what is left, the gradient of the input gate's bias. So in f32 one of the
// di, the one nearest zero, takes what the products miss of the rows' sums, which are taken in f64. δ_t is the way
// through the normaliser, which other implementations drop because a head norm right after it cancels any factor of a
// position; here windowed attention may be added before that norm, so it is kept.
#include "engine/kernels/mlstm.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "engine/autograd/modes.h"
#include "engine/autograd/op.h"
#include "engine/core/error.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

using kernels::MlstmCarry;
using kernels::MlstmSizes;

void check(const char* op, const Var& q, const Var& k, const Var& v, const Var& i, const Var& f,
           const MlstmOptions& o) {
  check_rank(op, "q", q, 4);
  check_rank(op, "k", k, 4);
  check_rank(op, "v", v, 4);
  const std::int64_t B = q.dim(0), T = q.dim(1), H = q.dim(2), D = q.dim(3), G = k.dim(2);
  if (D < 1 || H < 1) fail(op, "at least one head of one feature", q.value().str());
  if (G < 1 || H % G != 0) fail(op, fmt::format("a number of key heads that divides {}", H), k.value().str());
  check_shape(op, "k", k.value(), {B, T, G, D});
  check_shape(op, "v", v.value(), {B, T, G, v.dim(3)});
  check_shape(op, "i", i.value(), {B, T, H});
  check_shape(op, "f", f.value(), {B, T, H});
  check_same_dtype(op, "k", k, q);
  check_same_dtype(op, "v", v, q);
  check_dtype(op, "i", i.value(), compute_dtype(q.dtype()));
  check_dtype(op, "f", f.value(), compute_dtype(q.dtype()));
  if (o.chunk < 1) throw ConfigError(expected_got(op, "a chunk of 1 or more positions", fmt::format("{}", o.chunk)));
  if (!(o.eps >= 0)) throw ConfigError(expected_got(op, "eps of 0 or more", fmt::format("{}", o.eps)));
}

kernels::MlstmForm form_of(const MlstmOptions& o, std::int64_t T) {
  if (o.form == MlstmForm::parallel) return kernels::MlstmForm::parallel;
  const bool steps = o.form == MlstmForm::automatic ? T == 1 : o.form == MlstmForm::recurrent;
  return steps ? kernels::MlstmForm::recurrent : kernels::MlstmForm::chunkwise;
}

double scale_of(const MlstmOptions& o, std::int64_t D) {
  return o.scale != 0 ? o.scale : 1 / std::sqrt(static_cast<double>(D));
}

// All but the state and what is kept for the backward pass.
kernels::MlstmArgs arguments(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& i, const Tensor& f,
                             const MlstmOptions& o) {
  kernels::MlstmArgs a{};
  a.form = form_of(o, q.dim(1));
  a.q = q;
  a.k = k;
  a.v = v;
  a.i = i;
  a.f = f;
  a.h = Tensor::empty(q.shape().with(3, v.dim(3)), q.dtype());
  a.scale = scale_of(o, q.dim(3));
  a.eps = o.eps;
  a.chunk = o.chunk;
  return a;
}

// Multiplications and additions of the products, whole tiles counted.
double flops_of(const MlstmSizes& z, kernels::MlstmForm form, std::int64_t chunk) {
  const double pairs = static_cast<double>(form == kernels::MlstmForm::recurrent  ? 0
                                           : form == kernels::MlstmForm::parallel ? z.T
                                                                                  : std::min(chunk, z.T));
  const double state = form == kernels::MlstmForm::parallel ? 0 : 4.0 * static_cast<double>(z.D * z.E);
  return static_cast<double>(z.B * z.H * z.T) * (2 * pairs * static_cast<double>(z.D + z.E) + state);
}

// Tensors for a carry, of a state for each of `leading`.
MlstmCarry empty_carry(Shape leading, std::int64_t D, std::int64_t E, DType matrix, DType dtype) {
  const Shape with_d = leading.with_inserted(leading.rank(), D);
  return {Tensor::empty(with_d.with_inserted(with_d.rank(), E), matrix), Tensor::empty(with_d, dtype),
          Tensor::empty(leading, dtype)};
}

}  // namespace

Var mlstm(const Var& q, const Var& k, const Var& v, const Var& i, const Var& f, MlstmOptions options, Where where) {
  check("mlstm", q, k, v, i, f, options);
  if (kernel_policy().composed) return composed::mlstm(q, k, v, i, f, options);

  Op op("mlstm", {q, k, v, i, f}, where);
  kernels::MlstmArgs a = arguments(q.value(), k.value(), v.value(), i.value(), f.value(), options);
  const MlstmSizes z(a);
  if (op.recording()) {
    a.a = Tensor::empty(i.shape(), i.dtype());
    a.m = Tensor::empty(i.shape(), i.dtype());
    if (a.form == kernels::MlstmForm::chunkwise)
      a.states = empty_carry({z.B, z.H, z.chunks(a.chunk)}, z.D, z.E, q.dtype(), i.dtype());
  }
  op.ran(kernels::mlstm(a));
  op.flops(flops_of(z, a.form, a.chunk));
  return op.finish(a.h, {a.q, a.k, a.v, a.i, a.f, a.h, a.a, a.m, a.states.C, a.states.n, a.states.m},
                   [form = a.form, scale = a.scale, eps = a.eps, chunk = a.chunk](Backward& back) {
                     const auto gradient = [&](int input) {
                       const Tensor& x = back.saved(input);
                       return back.want(input) ? Tensor::empty(x.shape(), x.dtype()) : Tensor();
                     };
                     const kernels::MlstmBackwardArgs b{
                         .form = form,
                         .q = back.saved(0),
                         .k = back.saved(1),
                         .v = back.saved(2),
                         .i = back.saved(3),
                         .f = back.saved(4),
                         .h = back.saved(5),
                         .scale = scale,
                         .eps = eps,
                         .chunk = chunk,
                         .a = back.saved(6),
                         .m = back.saved(7),
                         .states = {back.saved(8), back.saved(9), back.saved(10)},
                         .dh = back.dout(),
                         .dq = gradient(0),
                         .dk = gradient(1),
                         .dv = gradient(2),
                         .di = gradient(3),
                         .df = gradient(4),
                     };
                     kernels::mlstm_backward(b);
                     back.give(0, b.dq);
                     back.give(1, b.dk);
                     back.give(2, b.dv);
                     back.give(3, b.di);
                     back.give(4, b.df);
                   });
}

Tensor mlstm_continue(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& i, const Tensor& f,
                      MlstmState& state, MlstmOptions options) {
  check("mlstm_continue", q, k, v, i, f, options);
  if (options.form == MlstmForm::parallel)
    throw ConfigError(expected_got("mlstm_continue", "form recurrent, chunkwise or automatic", "parallel",
                                   "the parallel form carries no state"));
  kernels::MlstmArgs a = arguments(q, k, v, i, f, options);
  const MlstmSizes z(a);
  if (state.C.defined()) {
    check_shape("mlstm_continue", "state.C", state.C, {z.B, z.H, z.D, z.E});
    check_shape("mlstm_continue", "state.n", state.n, {z.B, z.H, z.D});
    check_shape("mlstm_continue", "state.m", state.m, {z.B, z.H});
    for (const Tensor* part : {&state.C, &state.n, &state.m}) check_dtype("mlstm_continue", "state", *part, i.dtype());
  }
  // Written in place, unless somebody else holds the tensors too: a copy of an MlstmState is a snapshot.
  const bool in_place = state.C.unique() && state.n.unique() && state.m.unique();
  a.first = {state.C, state.n, state.m};
  a.last = in_place ? a.first : empty_carry({z.B, z.H}, z.D, z.E, i.dtype(), i.dtype());
  kernels::mlstm(a);
  if (InferenceMode::active())
    for (const Tensor* made : {&a.h, &a.last.C, &a.last.n, &a.last.m}) made->mark_inference();
  if (!in_place) state = {a.last.C, a.last.n, a.last.m};
  return a.h;
}

// The parallel form, f32 in f64: the di of a sequence all but cancel (above), and f32 products, each rounded for
// itself, would give a row a sum of dA that drowns what is left.
Var composed::mlstm(const Var& q, const Var& k, const Var& v, const Var& i, const Var& f, MlstmOptions options) {
  const std::int64_t B = q.dim(0), T = q.dim(1), H = q.dim(2), group = H / k.dim(2);
  const DType dtype = wide_dtype(i.dtype());
  const auto heads_first = [&](const Var& x, std::int64_t times) {  // [B, H, T, D]
    return ops::transpose(ops::repeat_heads(ops::cast(x, dtype), times), {0, 2, 1, 3});
  };
  const Var Q = heads_first(q, 1), K = heads_first(k, group), V = heads_first(v, group);
  const auto gates = [&](const Var& x) { return ops::transpose(ops::cast(x, dtype), {0, 2, 1}); };
  const Var input = gates(i);                                // [B, H, T]
  const Var b = ops::cumsum(ops::log_sigmoid(gates(f)), 2);  // [B, H, T]

  Tensor future = Tensor::zeros({T, T});  // -inf where s > t
  float* mask = future.mutable_data<float>();
  for (std::int64_t t = 0; t < T; ++t)
    for (std::int64_t s = t + 1; s < T; ++s) mask[t * T + s] = -std::numeric_limits<float>::infinity();
  const Var pairs = ops::add(ops::reshape(b, {B, H, T, 1}), ops::reshape(ops::sub(input, b), {B, H, 1, T}));
  const Var A = ops::add(pairs, Var(future.to(dtype)));  // [B, H, T, T]
  const Tensor m = max_constant(A.value(), -1, true);    // [B, H, T, 1]

  const Var scores = ops::matmul(Q, K, {.transpose_b = true, .alpha = scale_of(options, q.dim(3))});
  const Var C = ops::mul(scores, ops::exp(ops::sub(A, Var(m))));  // C̃
  const Var floor = ops::exp(ops::scale(Var(m), -1));
  const Var N = ops::maximum(ops::abs(ops::sum(C, -1, true)), floor);          // [B, H, T, 1]
  const Var h = ops::div(ops::matmul(C, V), ops::add_scalar(N, options.eps));  // [B, H, T, E]
  return ops::cast(ops::transpose(h, {0, 2, 1, 3}), q.dtype());
}

}  // namespace blalm::ops
