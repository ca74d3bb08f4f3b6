// The functions of single numbers that every implementation of the mLSTM shares.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "engine/core/dtype.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels {

// Stabilisers are real: they are constants of the differentiation, and the complex step must not reach them.
template <class S>
using Real = decltype(real_part(S()));

using vec::log_sigmoid;

// d log σ(x) / dx = σ(-x) = exp(log σ(-x)).
template <class S>
S log_sigmoid_derivative(S x) {
  return std::exp(log_sigmoid(-x));
}

// h_t = num_t / (N_t + eps) with N_t = max(|a_t|, exp(-m_t)), and what its gradient needs.
//
// exp(-m) is the one exponential here whose argument may be positive. Soft-capped gates keep |m| < 15. Beyond ±80
// (±700 in f64) the exponent is held: h is then below e^-80 |num|, or N would round to 0 where a_t = 0; either way
// nothing becomes infinite or NaN.
template <class S>
struct MlstmNormaliser {
  S inverse;  // 1 / (N + eps)
  S slope;    // dN/da = [|a| > exp(-m)] sign(a); 0 at the kink
  S share;    // Σ_s dA_ts / (dh_t·h_t) (ops/mlstm.cpp): 1 where the floor rules, else eps / (N + eps)

  MlstmNormaliser(S a, Real<S> m, double eps) {
    using R = Real<S>;
    constexpr R limit = std::is_same_v<R, float> ? R(80) : R(700);
    const R floor = std::exp(std::clamp(-m, -limit, limit));
    slope = S(real_part(a) > floor ? R(1) : real_part(a) < -floor ? R(-1) : R(0));
    const S N = real_part(slope) == 0 ? S(floor) : slope * a;
    inverse = S(R(1)) / (N + static_cast<R>(eps));
    share = real_part(slope) == 0 ? S(R(1)) : inverse * static_cast<R>(eps);
  }
};

// Makes di, at(0) to at(T - 1) being the gradients of one head's input gates, sum to dA, the sum of all rows
// (ops/mlstm.cpp): the di nearest zero takes the difference, since numbers near zero are rounded least.
template <class S, class At>
void settle_input_gates(std::int64_t T, Wide<S> dA, const At& at) {
  std::int64_t least = 0;
  for (std::int64_t t = 0; t < T; ++t) {
    dA -= Wide<S>(at(t));
    if (std::abs(real_part(at(t))) < std::abs(real_part(at(least)))) least = t;
  }
  if (T > 0) at(least) = static_cast<S>(Wide<S>(at(least)) + dA);
}

}  // namespace blalm::kernels
