// The parallel form (spec §5.4), row by row, straight from the definition:
//   A_ts = Σ_{s<u≤t} log σ(f_u) + i_s        m_t = max_{s≤t} A_ts        C̃_ts = scale (q_t·k_s) exp(A_ts - m_t)
//   ô_t = Σ_{s≤t} C̃_ts v̂_s
// The sum in A_ts is gathered from t downwards ("stable-f"): its rounding error grows with the size of A, not with that
// of the whole sequence's sum. The gradient, with dC̃_ts = ĝ_t·v̂_s and dA_ts = dC̃_ts C̃_ts:
//   dq_t = scale Σ_s dC̃_ts exp(A_ts - m_t) k_s     dk_s = scale Σ_t dC̃_ts exp(A_ts - m_t) q_t     dv̂_s = Σ_t C̃_ts ĝ_t
//   di_s = Σ_t dA_ts                               d log σ(f_u) = Σ_{s<u≤t} dA_ts
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/reference/mlstm_head.h"

namespace blalm::kernels::reference {
namespace {

// Row t of A.
template <class S>
void exponents(const MlstmHead<S>& head, std::int64_t t, Column<Wide<S>>& row) {
  Wide<S> log_decay(0);
  for (std::int64_t s = t; s >= 0; --s) {
    row[s] = log_decay + head.i[s];
    log_decay += head.log_f[s];
  }
}

double cost_per_head(const MlstmSizes& z) { return static_cast<double>(z.T * z.T * (z.D + z.E + 8)); }

}  // namespace

void mlstm_parallel(const MlstmArgs& args) {
  run_mlstm(args, cost_per_head(MlstmSizes(args)), [](auto& head, auto&, auto) {
    using S = std::remove_cvref_t<decltype(head.scale)>;
    Column<Wide<S>> A;
    A.resize(head.T);
    for (std::int64_t t = 0; t < head.T; ++t) {
      exponents(head, t, A);
      auto highest = real_part(A[0]);
      for (std::int64_t s = 1; s <= t; ++s) highest = std::max(highest, real_part(A[s]));
      head.m[t] = static_cast<Real<S>>(highest);
      for (std::int64_t s = 0; s <= t; ++s)
        add_scaled(head.out[t], head.score(t, s) * static_cast<S>(std::exp(A[s] - head.m[t])), head.v[s], head.E + 1);
    }
  });
}

void mlstm_parallel_backward(const MlstmBackwardArgs& args) {
  run_mlstm_backward(args, 3 * cost_per_head(MlstmSizes(args)), [](auto& head, auto& grad, auto) {
    using S = std::remove_cvref_t<decltype(head.scale)>;
    const std::int64_t D = head.D, width = head.E + 1;
    Column<Wide<S>> A;
    A.resize(head.T);
    for (std::int64_t t = 0; t < head.T; ++t) {
      exponents(head, t, A);
      S reached(0);  // Σ_{s<u} dA_ts
      for (std::int64_t s = 0; s <= t; ++s) {
        const S decay = static_cast<S>(std::exp(A[s] - head.m[t]));
        const S weight = head.score(t, s) * decay;  // C̃_ts
        const S dweight = dot(grad.g[t], head.v[s], width);
        add_scaled(grad.dq[t], head.scale * dweight * decay, head.k[s], D);
        add_scaled(grad.dk[s], head.scale * dweight * decay, head.q[t], D);
        add_scaled(grad.dv[s], weight, grad.g[t], width);
        grad.dlog_f[s] += reached;
        grad.di[s] += dweight * weight;
        reached += dweight * weight;
      }
    }
  });
}

}  // namespace blalm::kernels::reference
