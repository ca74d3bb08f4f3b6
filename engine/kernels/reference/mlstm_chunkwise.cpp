// The chunkwise form (spec §5.5). In a chunk of L positions, local index t = 1..L, after a state (Ĉ, m):
//   b_t = Σ_{u≤t} log σ(f_u)                       A_ts = b_t - b_s + i_s
//   m_t = max(b_t + m, max_{s≤t} A_ts)             D_ts = exp(A_ts - m_t)     β_t = exp(b_t + m - m_t)
//   ô_t = scale β_t q_t Ĉ + Σ_{s≤t} C̃_ts v̂_s      C̃_ts = scale (q_t·k_s) D_ts
// and the state after it, stabilised by m_L, so that the spec's γ and ω_s are β_L and the last row of D:
//   Ĉ⁺ = γ Ĉ + Σ_s ω_s k_sᵀ v̂_s                    γ = β_L                    ω_s = D_Ls
// The gradient (§5.6), chunk after chunk from the last, dĈ being the gradient of the state after the chunk:
//   P_ts = (ĝ_t·v̂_s) D_ts
//   dq_t = scale (Σ_s P_ts k_s + β_t ĝ_t Ĉᵀ)       dk_s = scale Σ_t P_ts q_t + ω_s v̂_s dĈᵀ
//   dv̂_s = Σ_t C̃_ts ĝ_t + ω_s k_s dĈ              dĈ ← γ dĈ + Σ_t scale β_t q_tᵀ ĝ_t
// The gates need no products of their own. With A over the whole sequence, dA_ts = P_ts scale (q_t·k_s), so that the
// sum of a row of dA is q_t·dq_t and that of a column k_s·dk_s. Hence
//   di_s = Σ_t dA_ts = k_s·dk_s
//   d log σ(f_u) = Σ_{s<u≤t} dA_ts = Σ_{t≥u} (q_t·dq_t - k_t·dk_t),   all rows from u on less all columns from u on.
// Term by term this holds for any ĝ, so it is exact for every eps and where the floor exp(-m) rules.
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/reference/mlstm_head.h"

namespace blalm::kernels::reference {
namespace {

// One chunk of one head: local positions 0..size-1 are begin.. of the sequence.
template <class S>
class Chunk {
 public:
  Chunk(const MlstmHead<S>& head, std::int64_t c, Real<S> m_before)
      : head_(head), m_before_(m_before), begin(c * head.chunk), size(std::min(head.chunk, head.T - begin)) {
    Wide<S> sum(0);
    b_.resize(size);
    for (std::int64_t t = 0; t < size; ++t) b_[t] = sum += head.log_f[begin + t];
  }

  // m_t for every t, from the running maximum of i_s - b_s.
  void stabilise(Column<Real<S>>& m) const {
    auto highest = real_part(Wide<S>(m_before_));
    for (std::int64_t t = 0; t < size; ++t) {
      highest = std::max(highest, real_part(head_.i[begin + t] - b_[t]));
      m[begin + t] = static_cast<Real<S>>(real_part(b_[t]) + highest);
    }
  }
  Real<S> m(std::int64_t t) const { return head_.m[begin + t]; }
  S decay(std::int64_t t, std::int64_t s) const {
    return static_cast<S>(std::exp(b_[t] - b_[s] + head_.i[begin + s] - m(t)));
  }
  S beta(std::int64_t t) const { return static_cast<S>(std::exp(b_[t] + m_before_ - m(t))); }
  S gamma() const { return beta(size - 1); }
  S omega(std::int64_t s) const { return decay(size - 1, s); }

 private:
  const MlstmHead<S>& head_;
  Real<S> m_before_;
  Column<Wide<S>> b_;

 public:
  const std::int64_t begin, size;
};

double cost_per_head(const MlstmSizes& z, std::int64_t chunk) {
  const std::int64_t L = std::min(chunk, z.T);
  return static_cast<double>(z.T * (L * (z.D + z.E + 8) + 4 * z.D * (z.E + 1)));
}

}  // namespace

void mlstm_chunkwise(const MlstmArgs& args) {
  const MlstmSizes z(args);
  run_mlstm(args, cost_per_head(z, args.chunk), [&](auto& head, auto& state, auto keep) {
    using S = std::remove_cvref_t<decltype(head.scale)>;
    const std::int64_t width = head.E + 1;
    for (std::int64_t c = 0; c < z.chunks(args.chunk); ++c) {
      keep(c);
      const Chunk<S> chunk(head, c, state.m);
      chunk.stabilise(head.m);
      for (std::int64_t t = 0; t < chunk.size; ++t) {
        const std::int64_t at = chunk.begin + t;
        for (std::int64_t d = 0; d < head.D; ++d)
          add_scaled(head.out[at], head.scale * chunk.beta(t) * head.q[at][d], state.C[d], width);
        for (std::int64_t s = 0; s <= t; ++s)
          add_scaled(head.out[at], head.score(at, chunk.begin + s) * chunk.decay(t, s), head.v[chunk.begin + s], width);
      }
      for (S& number : state.C.numbers()) number *= chunk.gamma();
      for (std::int64_t s = 0; s < chunk.size; ++s)
        for (std::int64_t d = 0; d < head.D; ++d)
          add_scaled(state.C[d], chunk.omega(s) * head.k[chunk.begin + s][d], head.v[chunk.begin + s], width);
      state.m = chunk.m(chunk.size - 1);
    }
  });
}

void mlstm_chunkwise_backward(const MlstmBackwardArgs& args) {
  const MlstmSizes z(args);
  run_mlstm_backward(args, 3 * cost_per_head(z, args.chunk), [&](auto& head, auto& grad, auto state_before) {
    using S = std::remove_cvref_t<decltype(head.scale)>;
    const std::int64_t D = head.D, width = head.E + 1;
    MlstmState<S> state;
    Matrix<S> dC;
    dC.resize(D, width);
    for (std::int64_t c = z.chunks(args.chunk) - 1; c >= 0; --c) {
      state_before(c, state);
      const Chunk<S> chunk(head, c, state.m);
      for (std::int64_t t = 0; t < chunk.size; ++t) {
        const std::int64_t at = chunk.begin + t;
        const S* g = grad.g[at];
        for (std::int64_t s = 0; s <= t; ++s) {
          const std::int64_t from = chunk.begin + s;
          const S decay = chunk.decay(t, s), P = dot(g, head.v[from], width) * decay;
          add_scaled(grad.dq[at], head.scale * P, head.k[from], D);
          add_scaled(grad.dk[from], head.scale * P, head.q[at], D);
          add_scaled(grad.dv[from], head.score(at, from) * decay, g, width);
        }
        for (std::int64_t d = 0; d < D; ++d) {
          grad.dq[at][d] += head.scale * chunk.beta(t) * dot(g, state.C[d], width);
          grad.dk[at][d] += chunk.omega(t) * dot(head.v[at], dC[d], width);
          add_scaled(grad.dv[at], chunk.omega(t) * head.k[at][d], dC[d], width);
        }
      }
      for (S& number : dC.numbers()) number *= chunk.gamma();
      for (std::int64_t t = 0; t < chunk.size; ++t)
        for (std::int64_t d = 0; d < D; ++d)
          add_scaled(dC[d], head.scale * chunk.beta(t) * head.q[chunk.begin + t][d], grad.g[chunk.begin + t], width);
    }
    Wide<S> suffix(0);
    for (std::int64_t t = head.T - 1; t >= 0; --t) {
      grad.di[t] = dot(head.k[t], grad.dk[t], D);
      suffix += dot(head.q[t], grad.dq[t], D) - grad.di[t];
      grad.dlog_f[t] = t == 0 ? S(0) : static_cast<S>(suffix);  // nothing was there to forget
    }
  });
}

}  // namespace blalm::kernels::reference
