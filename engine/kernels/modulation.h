// Weighted sum of two branches with a learned weight (spec §10).
#pragma once

#include "blalm/core/tensor.h"
#include "blalm/kernels/kernel.h"

namespace blalm::kernels {

// y = linear + rho ⊙ window, or (1 - rho) ⊙ linear + rho ⊙ window when convex.
// linear, window, y [N, C] of one dtype; rho [C] of its compute dtype.
struct ModulateArgs {
  Tensor linear, window, rho, y;
  bool convex;
};
extern const Kernel<ModulateArgs> modulate;

// dlinear = (1 - rho) ⊙ dy when convex (else it is dy: leave it undefined), dwindow = rho ⊙ dy, and
// drho = Σ_rows dy ⊙ window, or Σ_rows dy ⊙ (window - linear) when convex. Undefined gradients are not wanted.
// `window` (and `linear`, when convex) is read for drho alone.
struct ModulateBackwardArgs {
  Tensor linear, window, rho, dy, dlinear, dwindow, drho;
  bool convex;
};
extern const Kernel<ModulateBackwardArgs> modulate_backward;

namespace reference {
void modulate(const ModulateArgs&);
void modulate_backward(const ModulateBackwardArgs&);
}  // namespace reference

}  // namespace blalm::kernels
