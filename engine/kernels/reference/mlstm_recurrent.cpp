// The recurrent form (spec §5.3), with Ĉ = [C | n] and v̂ = [v, 1]:
//   m_t = max(log σ(f_t) + m_{t-1}, i_t)        f'_t = exp(log σ(f_t) + m_{t-1} - m_t)        i'_t = exp(i_t - m_t)
//   Ĉ_t = f'_t Ĉ_{t-1} + i'_t k_tᵀ v̂_t          ô_t = scale q_t Ĉ_t
// Its gradient is backpropagation through time, dĈ being the gradient of the state after position t:
//   dq_t = scale ĝ_t Ĉ_tᵀ                       dĈ += scale q_tᵀ ĝ_t
//   dk_t = i'_t v̂_t dĈᵀ                         dv̂_t = i'_t k_t dĈ
//   di_t = i'_t k_t dĈ v̂_tᵀ                     d log σ(f_t) = f'_t ⟨Ĉ_{t-1}, dĈ⟩               dĈ ← f'_t dĈ
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/reference/mlstm_head.h"

namespace blalm::kernels::reference {
namespace {

// Both gates of position t, after a state stabilised by `m_before`.
template <class S>
struct Step {
  S forget, input;

  Step(const MlstmHead<S>& head, std::int64_t t, Real<S> m_before) {
    forget = static_cast<S>(std::exp(head.log_f[t] + m_before - head.m[t]));
    input = static_cast<S>(std::exp(head.i[t] - head.m[t]));
  }

  // Ĉ ← f' Ĉ + i' k_tᵀ v̂_t
  void advance(const MlstmHead<S>& head, std::int64_t t, Matrix<S>& C) const {
    for (std::int64_t d = 0; d < head.D; ++d)
      for (std::int64_t e = 0; e <= head.E; ++e) C[d][e] = forget * C[d][e] + input * head.k[t][d] * head.v[t][e];
  }
};

double cost_per_head(const MlstmSizes& z) { return 4.0 * static_cast<double>(z.T * z.D * (z.E + 1)); }

}  // namespace

void mlstm_recurrent(const MlstmArgs& args) {
  run_mlstm(args, cost_per_head(MlstmSizes(args)), [](auto& head, auto& state, auto) {
    for (std::int64_t t = 0; t < head.T; ++t) {
      const auto highest = std::max(real_part(head.log_f[t]) + state.m, real_part(head.i[t]));
      head.m[t] = static_cast<decltype(state.m)>(highest);
      Step(head, t, state.m).advance(head, t, state.C);
      state.m = head.m[t];
      for (std::int64_t d = 0; d < head.D; ++d)
        add_scaled(head.out[t], head.scale * head.q[t][d], state.C[d], head.E + 1);
    }
  });
}

void mlstm_recurrent_backward(const MlstmBackwardArgs& args) {
  run_mlstm_backward(args, 3 * cost_per_head(MlstmSizes(args)), [](auto& head, auto& grad, auto) {
    using S = std::remove_cvref_t<decltype(head.scale)>;
    const std::int64_t T = head.T, D = head.D, width = head.E + 1;
    const auto m_before = [&](std::int64_t t) { return t == 0 ? Real<S>(0) : head.m[t - 1]; };
    std::vector<Matrix<S>> states(static_cast<std::size_t>(T + 1));  // Ĉ_t after t positions, all of them
    states[0].resize(D, width);
    for (std::int64_t t = 0; t < T; ++t) {
      Matrix<S>& C = states[static_cast<std::size_t>(t + 1)];
      C = states[static_cast<std::size_t>(t)];
      Step(head, t, m_before(t)).advance(head, t, C);
    }
    Matrix<S> dC;
    dC.resize(D, width);
    for (std::int64_t t = T - 1; t >= 0; --t) {
      const Step step(head, t, m_before(t));
      const Matrix<S>&before = states[static_cast<std::size_t>(t)], &after = states[static_cast<std::size_t>(t + 1)];
      for (std::int64_t d = 0; d < D; ++d) {
        grad.dq[t][d] = head.scale * dot(grad.g[t], after[d], width);
        add_scaled(dC[d], head.scale * head.q[t][d], grad.g[t], width);
        grad.dk[t][d] = step.input * dot(head.v[t], dC[d], width);
        add_scaled(grad.dv[t], step.input * head.k[t][d], dC[d], width);
        grad.di[t] += head.k[t][d] * grad.dk[t][d];
        grad.dlog_f[t] += step.forget * dot(before[d], dC[d], width);
        for (std::int64_t e = 0; e < width; ++e) dC[d][e] *= step.forget;
      }
    }
  });
}

}  // namespace blalm::kernels::reference
