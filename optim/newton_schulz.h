// Newton–Schulz quintic iteration (spec §13.3): for u = U Σ Vᵀ it nears the polar factor U Vᵀ by products alone.
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"

namespace blalm {

// u: [r, c], or [n, r, c] as n matrices, f32 or f64. With X = u / (‖u‖_F + 1e-7), `steps` times, for r ≤ c:
//   A = X Xᵀ      X ← (a I + b A + c A²) X      (a, b, c) = (3.4445, −4.7750, 2.0315)
// and with XᵀX from the right for r > c, which is the transpose of the same. Five steps bring singular values of at
// least 1% of ‖u‖_F into [0.68, 1.14]; they do not converge to 1. A zero matrix stays zero.
// Returns a new tensor of the shape of u in the dtype of `operands`: that of u, or bf16, where products have bf16
// operands and sums in f32. ShapeError for any other u or operands.
Tensor newton_schulz(const Tensor& u, std::int64_t steps, DType operands);
inline Tensor newton_schulz(const Tensor& u, std::int64_t steps = 5) { return newton_schulz(u, steps, u.dtype()); }

}  // namespace blalm
