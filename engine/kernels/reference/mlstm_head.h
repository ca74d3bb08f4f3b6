// What the three reference forms of the mLSTM share: one head of one sequence as plain matrices in the compute dtype,
// read from and written to the tensors here, so that the forms are nothing but mathematics.
//
// With a one appended to every value, v̂_s = [v_s, 1], the matrix state and the normaliser are one thing: Ĉ = [C | n],
// and a_t is the last column of the unnormalised output (spec §5.6). A form computes
//   ô_t = Σ_{s≤t} C̃_ts v̂_s,   C̃_ts = scale (q_t·k_s) exp(A_ts - m_t),   A_ts = Σ_{s<u≤t} log σ(f_u) + i_s
// with an m_t of its own choice, and, given ĝ_t = dL/dô_t, the gradients of q, k, v, i and log σ(f), m being constant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/kernels/mlstm_math.h"
#include "engine/kernels/mlstm_view.h"

namespace blalm::kernels::reference {

template <class S>
class Matrix {
 public:
  // Every element zero.
  void resize(std::int64_t rows, std::int64_t cols) {
    cols_ = cols;
    numbers_.assign(static_cast<std::size_t>(rows * cols), S(0));
  }
  S* operator[](std::int64_t row) { return numbers_.data() + row * cols_; }
  const S* operator[](std::int64_t row) const { return numbers_.data() + row * cols_; }
  std::vector<S>& numbers() { return numbers_; }

 private:
  std::int64_t cols_ = 0;
  std::vector<S> numbers_;
};

template <class S>
class Column {
 public:
  // Every element zero.
  void resize(std::int64_t size) { numbers_.assign(static_cast<std::size_t>(size), S(0)); }
  S& operator[](std::int64_t at) { return numbers_[static_cast<std::size_t>(at)]; }
  const S& operator[](std::int64_t at) const { return numbers_[static_cast<std::size_t>(at)]; }

 private:
  std::vector<S> numbers_;
};

template <class S>
S dot(const S* x, const S* y, std::int64_t n) {
  S sum(0);
  for (std::int64_t j = 0; j < n; ++j) sum += x[j] * y[j];
  return sum;
}

// y += c x
template <class S>
void add_scaled(S* y, S c, const S* x, std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) y[j] += c * x[j];
}

template <class S>
struct MlstmState {
  Matrix<S> C;  // Ĉ: [D, E + 1]
  Real<S> m = 0;
};

template <class S>
struct MlstmHead {
  std::int64_t T, D, E, chunk;
  S scale;
  Matrix<S> q, k, v;         // [T, D], [T, D], v̂: [T, E + 1]
  Column<Wide<S>> i, log_f;  // [T]; log σ(f)
  Matrix<S> out;             // ô: [T, E + 1]
  Column<Real<S>> m;         // [T]

  S score(std::int64_t t, std::int64_t s) const { return scale * dot(q[t], k[s], D); }
};

template <class S>
struct MlstmGradients {
  Matrix<S> g;           // ĝ: [T, E + 1], given
  Matrix<S> dq, dk, dv;  // as q, k, v̂
  Column<S> di, dlog_f;  // [T]
};

// --- tensors to matrices and back

// The first columns of a matrix from one head of a tensor, or the other way.
template <class X, class S>
void load(const HeadView<const X>& from, std::int64_t b, std::int64_t head, std::int64_t T, Matrix<S>& to) {
  for (std::int64_t t = 0; t < T; ++t)
    for (std::int64_t j = 0; j < from.width(); ++j) to[t][j] = static_cast<S>(from.at(b, t, head)[j]);
}
template <class X, class S>
void store(const Matrix<S>& from, std::int64_t T, const HeadView<X>& to, std::int64_t b, std::int64_t head) {
  if (!to) return;
  for (std::int64_t t = 0; t < T; ++t)
    for (std::int64_t j = 0; j < to.width(); ++j) to.at(b, t, head)[j] = static_cast<X>(from[t][j]);
}

// The empty state where there is none to load.
template <class S, class M>
void load_state(const CarryView<const S, const M>& from, std::int64_t index, std::int64_t D, std::int64_t E,
                MlstmState<S>& to) {
  to.C.resize(D, E + 1);
  to.m = 0;
  if (!from) return;
  for (std::int64_t d = 0; d < D; ++d) {
    for (std::int64_t e = 0; e < E; ++e) to.C[d][e] = static_cast<S>(from.C(index)[d * E + e]);
    to.C[d][E] = from.n(index)[d];
  }
  to.m = real_part(from.m(index));
}
template <class S, class M>
void store_state(const MlstmState<S>& from, std::int64_t D, std::int64_t E, const CarryView<S, M>& to,
                 std::int64_t index) {
  if (!to) return;
  for (std::int64_t d = 0; d < D; ++d) {
    for (std::int64_t e = 0; e < E; ++e) to.C(index)[d * E + e] = static_cast<M>(from.C[d][e]);
    to.n(index)[d] = from.C[d][E];
  }
  to.m(index) = S(from.m);
}

// Where heads are read from.
template <class X, class S>
struct MlstmInputs {
  HeadView<const X> q, k, v;
  HeadView<const S> i, f;
  MlstmSizes z;
  std::int64_t chunk;
  S scale;

  template <class Args>
  explicit MlstmInputs(const Args& a)
      : q(a.q), k(a.k), v(a.v), i(a.i), f(a.f), z(a), chunk(a.chunk), scale(static_cast<Real<S>>(a.scale)) {}

  void load_head(std::int64_t b, std::int64_t h, MlstmHead<S>& head) const {
    head.T = z.T, head.D = z.D, head.E = z.E, head.chunk = chunk, head.scale = scale;
    for (Matrix<S>* like_q : {&head.q, &head.k}) like_q->resize(z.T, z.D);
    for (Matrix<S>* like_v : {&head.v, &head.out}) like_v->resize(z.T, z.E + 1);
    for (auto* exponents : {&head.i, &head.log_f}) exponents->resize(z.T);
    head.m.resize(z.T);
    const std::int64_t key_head = h / z.heads_a_group();
    load(q, b, h, z.T, head.q);
    load(k, b, key_head, z.T, head.k);
    load(v, b, key_head, z.T, head.v);
    for (std::int64_t t = 0; t < z.T; ++t) {
      head.v[t][z.E] = S(1);
      head.i[t] = *i.at(b, t, h);
      head.log_f[t] = log_sigmoid(Wide<S>(*f.at(b, t, h)));
    }
  }
};

// --- the drivers

// form(head, state, keep) fills head.out and head.m and leaves the last state in `state`; keep(c) stores `state` as the
// one before chunk c.
template <class Form>
void run_mlstm(const MlstmArgs& args, double cost_per_head, Form form) {
  visit_floating(args.q.dtype(), [&](auto tag) {
    using X = typename decltype(tag)::type;
    using S = Compute<X>;
    const MlstmInputs<X, S> in(args);
    const MlstmSizes& z = in.z;
    const CarryView<const S> first(args.first, z);
    const CarryView<S> last(args.last, z);
    const CarryView<S, X> states(args.states, z);
    const HeadView<X> h(args.h);
    const HeadView<S> a(args.a), m(args.m);
    parallel_for(z.B * z.H, cost_per_head, [&](std::int64_t begin, std::int64_t end) {
      MlstmHead<S> head;
      MlstmState<S> state;
      for (std::int64_t at = begin; at < end; ++at) {
        const std::int64_t b = at / z.H, j = at % z.H;
        in.load_head(b, j, head);
        load_state(first, at, z.D, z.E, state);
        form(head, state, [&](std::int64_t c) { store_state(state, z.D, z.E, states, at * z.chunks(in.chunk) + c); });
        for (std::int64_t t = 0; t < z.T; ++t) {
          const S a_t = head.out[t][z.E];
          const MlstmNormaliser<S> normaliser(a_t, head.m[t], args.eps);
          for (std::int64_t e = 0; e < z.E; ++e) h.at(b, t, j)[e] = static_cast<X>(head.out[t][e] * normaliser.inverse);
          if (a) *a.at(b, t, j) = a_t;
          if (m) *m.at(b, t, j) = S(head.m[t]);
        }
        store_state(state, z.D, z.E, last, at);
      }
    });
  });
}

// form(head, gradients, state_before) fills the gradients; state_before(c, state) loads the state before chunk c.
// A task is a key head with its query heads, in whose order its gradients are summed.
template <class Form>
void run_mlstm_backward(const MlstmBackwardArgs& args, double cost_per_head, Form form) {
  visit_floating(args.q.dtype(), [&](auto tag) {
    using X = typename decltype(tag)::type;
    using S = Compute<X>;
    const MlstmInputs<X, S> in(args);
    const MlstmSizes& z = in.z;
    const std::int64_t group = z.heads_a_group();
    constexpr bool exact = std::is_same_v<X, S>;  // bf16 has rounded h: its dh·h says little about the row of dA
    const CarryView<const S, const X> states(args.states, z);
    const HeadView<const X> h(args.h), dh(args.dh);
    const HeadView<const S> a(args.a), m(args.m);
    const HeadView<X> dq(args.dq), dk(args.dk), dv(args.dv);
    const HeadView<S> di(args.di), df(args.df);
    parallel_for(z.B * z.G, cost_per_head * static_cast<double>(group), [&](std::int64_t begin, std::int64_t end) {
      MlstmHead<S> head;
      MlstmGradients<S> grad;
      Matrix<S> dk_sum, dv_sum;
      for (std::int64_t at = begin; at < end; ++at) {
        const std::int64_t b = at / z.G, key_head = at % z.G;
        dk_sum.resize(z.T, z.D);
        dv_sum.resize(z.T, z.E + 1);
        for (std::int64_t j = key_head * group; j < (key_head + 1) * group; ++j) {
          in.load_head(b, j, head);
          for (Matrix<S>* like_q : {&grad.dq, &grad.dk}) like_q->resize(z.T, z.D);
          for (Matrix<S>* like_v : {&grad.g, &grad.dv}) like_v->resize(z.T, z.E + 1);
          for (Column<S>* like_i : {&grad.di, &grad.dlog_f}) like_i->resize(z.T);
          load(dh, b, j, z.T, grad.g);
          Wide<S> dA(0);  // its sum, row by row
          for (std::int64_t t = 0; t < z.T; ++t) {
            // h = num / (N + eps):  dnum = dh / (N + eps),  δ = da = -(dN/da) (dh·h) / (N + eps)
            head.m[t] = real_part(*m.at(b, t, j));
            const MlstmNormaliser<S> normaliser(*a.at(b, t, j), head.m[t], args.eps);
            S* g = grad.g[t];
            Wide<S> dh_h(0);
            for (std::int64_t e = 0; e < z.E; ++e) dh_h += Wide<S>(g[e]) * static_cast<Wide<S>>(h.at(b, t, j)[e]);
            dA += Wide<S>(normaliser.share) * dh_h;
            g[z.E] = -normaliser.slope * static_cast<S>(dh_h);
            for (std::int64_t e = 0; e <= z.E; ++e) g[e] *= normaliser.inverse;
          }

          form(head, grad, [&](std::int64_t c, MlstmState<S>& state) {
            load_state(states, (b * z.H + j) * z.chunks(in.chunk) + c, z.D, z.E, state);
          });

          if (exact) settle_input_gates<S>(z.T, dA, [&](std::int64_t t) -> S& { return grad.di[t]; });
          for (std::int64_t t = 0; t < z.T; ++t) {
            add_scaled(dk_sum[t], S(1), grad.dk[t], z.D);
            add_scaled(dv_sum[t], S(1), grad.dv[t], z.E);
            if (di) *di.at(b, t, j) = grad.di[t];
            if (df) *df.at(b, t, j) = grad.dlog_f[t] * log_sigmoid_derivative(*in.f.at(b, t, j));
          }
          store(grad.dq, z.T, dq, b, j);
        }
        store(dk_sum, z.T, dk, b, key_head);
        store(dv_sum, z.T, dv, b, key_head);
      }
    });
  });
}

}  // namespace blalm::kernels::reference
