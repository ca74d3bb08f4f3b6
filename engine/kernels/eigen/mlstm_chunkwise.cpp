// The chunkwise form of the mLSTM (spec §5.5, §5.6) in f32, for f32 and bf16 tensors. A chunk's tiles stay in cache and
// its products are small matrix products. A task is one head (forward) or one key head with its query heads (backward),
// over all its chunks, so that threads share nothing and the bits do not depend on their number.
// The formulas are at the head of reference/mlstm_chunkwise.cpp; here C and n are apart, as are g and δ of ĝ = [g, δ].
//
// Our own team runs the heads; Eigen stays on the thread that calls it.
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/kernels/eigen/backend.h"
#include "engine/kernels/mlstm_math.h"
#include "engine/kernels/mlstm_view.h"

namespace blalm::kernels::eigen {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXf;

// A head as a matrix [T, width], read a tile of rows at a time. f32 is copied too: rows are heads x width apart, and
// the products that read a tile several times find it close together.
template <class X>
class Reader {
 public:
  explicit Reader(const Tensor& x) : heads_(x) {}
  // Valid until the next call.
  const Matrix& rows(std::int64_t b, std::int64_t begin, std::int64_t count, std::int64_t head) {
    const std::int64_t stride = heads_.stride(), width = heads_.width();
    const X* from = heads_.at(b, begin, head);
    tile_.resize(count, width);
    for (std::int64_t t = 0; t < count; ++t)
      for (std::int64_t j = 0; j < width; ++j) tile_(t, j) = from[t * stride + j];
    return tile_;
  }

 private:
  HeadView<const X> heads_;
  Matrix tile_;
};

// Rows of a head from `begin` on; an undefined tensor takes nothing.
template <class X>
void write(const HeadView<X>& heads, std::int64_t b, std::int64_t begin, std::int64_t head, const Matrix& rows) {
  if (!heads) return;
  for (std::int64_t t = 0; t < rows.rows(); ++t) {
    X* to = heads.at(b, begin + t, head);
    for (std::int64_t j = 0; j < rows.cols(); ++j) to[j] = static_cast<X>(rows(t, j));
  }
}

// Exponentials below this are taken for 0: they are lost beside the largest weight, and products with numbers under
// f32's normal range are many times slower.
constexpr float kSmallestExponent = -60;

// The gates of one chunk of one head. Exponents are small differences of long sums of log σ(f): the sums are in f64.
struct ChunkGates {
  std::int64_t size = 0;
  Eigen::VectorXd x, y;  // x_t = b_t - m_t, y_s = i_s - b_s: the exponent of D_ts is x_t + y_s
  Vector m, beta;        // m_t, β_t
  float gamma = 0;       // β of the last position
  Matrix D;              // 0 for s > t

  // Reads `count` gates, `stride` numbers apart, that follow a state stabilised by m_before. m_t is chosen here, or
  // read from `kept` when the backward pass gives what the forward pass chose.
  void start(const float* i, const float* f, const float* kept, std::int64_t stride, std::int64_t count,
             float m_before) {
    size = count;
    for (auto* v : {&x, &y}) v->resize(size);
    for (auto* v : {&m, &beta}) v->resize(size);
    double b = 0, highest = m_before;
    for (std::int64_t t = 0; t < size; ++t) {
      b += log_sigmoid(static_cast<double>(f[t * stride]));
      y[t] = i[t * stride] - b;
      highest = std::max(highest, y[t]);
      m[t] = kept != nullptr ? kept[t * stride] : static_cast<float>(b + highest);
      x[t] = b - m[t];
      beta[t] = static_cast<float>(x[t] + m_before);
    }
    decay(beta);
    gamma = beta[size - 1];
    D.setZero(size, size);
    for (std::int64_t t = 0; t < size; ++t) {
      Eigen::Map<Vector> row(D.data() + t * size, t + 1);
      for (std::int64_t s = 0; s <= t; ++s) row[s] = static_cast<float>(x[t] + y[s]);
      decay(row);
    }
  }
  // ω_s, the last row of D.
  Eigen::Map<const Vector> omega() const { return {D.data() + (size - 1) * size, size}; }

 private:
  static void decay(Eigen::Ref<Vector> exponents) {
    exponents = (exponents.array() < kSmallestExponent).select(0.0F, exponents.array().exp());
  }
};

// The state of a head: C [D, E], n [D], m.
struct State {
  Matrix C;
  Vector n;
  float m = 0;
  bool empty = true;

  // The empty state where there is none to load.
  template <class M>
  void load(const CarryView<const float, M>& from, std::int64_t index, const MlstmSizes& z) {
    empty = !from;
    m = empty ? 0 : from.m(index);
    C.resize(z.D, z.E);
    if (empty) {
      C.setZero();
      n.setZero(z.D);
    } else {
      std::copy_n(from.C(index), C.size(), C.data());
      n = Eigen::Map<const Vector>(from.n(index), z.D);
    }
  }
  template <class M>
  void store(const CarryView<float, M>& to, std::int64_t index) const {
    if (!to) return;
    std::transform(C.data(), C.data() + C.size(), to.C(index), [](float x) { return static_cast<M>(x); });
    Eigen::Map<Vector>(to.n(index), n.size()) = n;
    to.m(index) = m;
  }
};

// Of a head's forward pass, in operations as parallel_for counts them: a product does several at once.
double cost_per_head(const MlstmSizes& z, std::int64_t chunk) {
  const std::int64_t L = std::min(chunk, z.T);
  return 0.25 * static_cast<double>(z.T * (L * (z.D + z.E + 16) + 2 * z.D * z.E));
}

template <class X>
void forward(const MlstmArgs& args) {
  const MlstmSizes z(args);
  const float scale = static_cast<float>(args.scale);
  const std::int64_t chunks = z.chunks(args.chunk);
  const HeadView<const float> i(args.i), f(args.f);
  const HeadView<X> h(args.h);
  const HeadView<float> a_out(args.a), m_out(args.m);
  const CarryView<const float> first(args.first, z);
  const CarryView<float> last(args.last, z);
  const CarryView<float, X> states(args.states, z);
  parallel_for(z.B * z.H, cost_per_head(z, args.chunk), [&](std::int64_t begin, std::int64_t end) {
    Reader<X> q(args.q), k(args.k), v(args.v);
    ChunkGates gates;
    State state;
    Matrix weights, out, decayed;  // C̃; numerator, then h; scale β Q, then ω K
    Vector a;
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t b = task / z.H, head = task % z.H, key_head = head / z.heads_a_group();
      state.load(first, task, z);
      for (std::int64_t c = 0; c < chunks; ++c) {
        const std::int64_t t0 = c * args.chunk, size = std::min(args.chunk, z.T - t0);
        state.store(states, task * chunks + c);
        gates.start(i.at(b, t0, head), f.at(b, t0, head), nullptr, z.H, size, state.m);
        const Matrix& Q = q.rows(b, t0, size, head);
        const Matrix &K = k.rows(b, t0, size, key_head), &V = v.rows(b, t0, size, key_head);

        weights.noalias() = Q * K.transpose();
        weights.array() *= scale * gates.D.array();
        out.noalias() = weights * V;
        a = weights.rowwise().sum();
        if (!state.empty) {
          decayed = (scale * gates.beta).asDiagonal() * Q;
          out.noalias() += decayed * state.C;
          a.noalias() += decayed * state.n;
        }
        for (std::int64_t t = 0; t < size; ++t) {
          out.row(t) *= MlstmNormaliser<float>(a[t], gates.m[t], args.eps).inverse;
          if (a_out) *a_out.at(b, t0 + t, head) = a[t];
          if (m_out) *m_out.at(b, t0 + t, head) = gates.m[t];
        }
        write(h, b, t0, head, out);

        if (c + 1 == chunks && !last) break;
        decayed = gates.omega().asDiagonal() * K;
        state.C *= gates.gamma;
        state.C.noalias() += decayed.transpose() * V;
        state.n = gates.gamma * state.n + decayed.colwise().sum().transpose();
        state.m = gates.m[size - 1];
        state.empty = false;
      }
      state.store(last, task);
    }
  });
}

// What the backward sweep of a query head carries from a chunk to the one before it.
struct Sweep {
  Matrix dC;  // gradient of the state after the chunk
  Vector dn;
  double dlog_f = 0;  // Σ (q_t·dq_t - k_t·dk_t) over all later positions
  double dA = 0;      // what all rows of dA sum to from this chunk on
};

template <class X>
void backward(const MlstmBackwardArgs& args) {
  const MlstmSizes z(args);
  const float scale = static_cast<float>(args.scale);
  const std::int64_t chunks = z.chunks(args.chunk), group = z.heads_a_group();
  const HeadView<const float> i(args.i), f(args.f), a(args.a), m(args.m);
  const CarryView<const float, const X> states(args.states, z);
  const HeadView<X> dq_out(args.dq), dk_out(args.dk), dv_out(args.dv);
  const HeadView<float> di_out(args.di), df_out(args.df);
  const bool gates_wanted = di_out || df_out;
  constexpr bool exact = std::is_same_v<X, float>;  // bf16 has rounded h: its dh·h says little about the row of dA
  const bool dq_wanted = dq_out || df_out, dk_wanted = dk_out || gates_wanted, dv_wanted(dv_out);
  const double cost = 3 * cost_per_head(z, args.chunk) * static_cast<double>(group);
  parallel_for(z.B * z.G, cost, [&](std::int64_t begin, std::int64_t end) {
    Reader<X> q(args.q), k(args.k), v(args.v), h(args.h), dh(args.dh);
    ChunkGates gates;
    State state;
    std::vector<Sweep> sweeps(static_cast<std::size_t>(group));
    Matrix g, g_beta, P, weights, decayed;  // g; scale β g; scale P; C̃; ω V, then ω K
    Vector delta, delta_beta;               // δ; scale β δ
    Matrix dq, dk, dv, dk_sum, dv_sum;
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t b = task / z.G, key_head = task % z.G;
      for (Sweep& sweep : sweeps) {
        sweep.dC.setZero(z.D, z.E);
        sweep.dn.setZero(z.D);
        sweep.dlog_f = sweep.dA = 0;
      }
      for (std::int64_t c = chunks - 1; c >= 0; --c) {
        const std::int64_t t0 = c * args.chunk, size = std::min(args.chunk, z.T - t0);
        const bool has_later = c + 1 < chunks, has_earlier = c > 0;
        const Matrix &K = k.rows(b, t0, size, key_head), &V = v.rows(b, t0, size, key_head);
        dk_sum.setZero(size, z.D);
        dv_sum.setZero(size, z.E);
        for (std::int64_t j = 0; j < group; ++j) {
          const std::int64_t head = key_head * group + j;
          Sweep& sweep = sweeps[static_cast<std::size_t>(j)];
          state.load(states, (b * z.H + head) * chunks + c, z);
          gates.start(i.at(b, t0, head), f.at(b, t0, head), m.at(b, t0, head), z.H, size, state.m);
          const Matrix &Q = q.rows(b, t0, size, head), &H = h.rows(b, t0, size, head);

          g = dh.rows(b, t0, size, head);
          delta.resize(size);
          for (std::int64_t t = 0; t < size; ++t) {
            const MlstmNormaliser<float> normaliser(*a.at(b, t0 + t, head), gates.m[t], args.eps);
            const double dh_h = exact ? g.row(t).cast<double>().dot(H.row(t).cast<double>())
                                      : static_cast<double>(g.row(t).dot(H.row(t)));
            sweep.dA += normaliser.share * dh_h;
            g.row(t) *= normaliser.inverse;
            delta[t] = -normaliser.slope * normaliser.inverse * static_cast<float>(dh_h);
          }
          g_beta = (scale * gates.beta).asDiagonal() * g;
          delta_beta = scale * gates.beta.cwiseProduct(delta);

          if (dq_wanted || dk_wanted) {
            P.noalias() = g * V.transpose();
            P.colwise() += delta;
            P.array() *= scale * gates.D.array();
          }
          if (dq_wanted) {
            dq.noalias() = P * K;
            if (has_earlier) {
              dq.noalias() += g_beta * state.C.transpose();
              dq.noalias() += delta_beta * state.n.transpose();
            }
            write(dq_out, b, t0, head, dq);
          }
          if (dk_wanted) {
            dk.noalias() = P.transpose() * Q;
            if (has_later) {
              decayed = gates.omega().asDiagonal() * V;
              dk.noalias() += decayed * sweep.dC.transpose();
              dk.noalias() += gates.omega() * sweep.dn.transpose();
            }
            dk_sum += dk;
          }
          if (dv_wanted) {
            weights.noalias() = Q * K.transpose();
            weights.array() *= scale * gates.D.array();
            dv.noalias() = weights.transpose() * g;
            if (has_later) {
              decayed = gates.omega().asDiagonal() * K;
              dv.noalias() += decayed * sweep.dC;
            }
            dv_sum += dv;
          }
          for (std::int64_t t = size - 1; t >= 0 && gates_wanted; --t) {
            const float di = K.row(t).dot(dk.row(t));
            if (di_out) *di_out.at(b, t0 + t, head) = di;
            if (!df_out) continue;
            sweep.dlog_f += static_cast<double>(Q.row(t).dot(dq.row(t))) - di;
            if (t0 + t == 0) sweep.dlog_f = 0;  // nothing was there to forget
            *df_out.at(b, t0 + t, head) =
                static_cast<float>(sweep.dlog_f * log_sigmoid_derivative(static_cast<double>(*f.at(b, t0 + t, head))));
          }
          if (has_earlier) {
            sweep.dC *= gates.gamma;
            sweep.dC.noalias() += Q.transpose() * g_beta;
            sweep.dn *= gates.gamma;
            sweep.dn.noalias() += Q.transpose() * delta_beta;
          }
        }
        write(dk_out, b, t0, key_head, dk_sum);
        write(dv_out, b, t0, key_head, dv_sum);
      }
      for (std::int64_t j = 0; exact && di_out && j < group; ++j)
        settle_input_gates<float>(z.T, sweeps[static_cast<std::size_t>(j)].dA,
                                  [&](std::int64_t t) -> float& { return *di_out.at(b, t, key_head * group + j); });
    }
  });
}

}  // namespace

void mlstm_chunkwise(const MlstmArgs& args) {
  if (args.q.dtype() == DType::f32)
    forward<float>(args);
  else
    forward<BFloat16>(args);
}

void mlstm_chunkwise_backward(const MlstmBackwardArgs& args) {
  if (args.q.dtype() == DType::f32)
    backward<float>(args);
  else
    backward<BFloat16>(args);
}

}  // namespace blalm::kernels::eigen
