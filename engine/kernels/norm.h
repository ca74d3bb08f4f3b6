// Normalisations over the last axis (spec §4.2, §5.7).
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// y = w x̂ with x̂ = x r, r = (mean(x²) + eps)^-1/2. x, y: [rows, d]; w: [d]; rrms: [rows], of the compute dtype, holds
// r. x, y may be f32 or bf16 in any mix; w has the compute dtype of x, or any one dtype for f64 and c128. Where x and y
// differ in dtype, x̂ is rounded to that of y before w meets it.
struct RmsNormArgs {
  Tensor x, w, y, rrms;
  double eps;
  Tensor more{}, sum{};  // when given: sum = x + more, of the dtype of x, takes the place of x
  Tensor normed{};       // when given: receives x̂ as y was made of it; only where x and y differ in dtype
};
extern const Kernel<RmsNormArgs> rms_norm;

// y again from x̂: y = w normed, both of one dtype.
struct RmsNormAgainArgs {
  Tensor normed, w, y;
};
extern const Kernel<RmsNormAgainArgs> rms_norm_again;

// x: of the dtype of dy; x itself, or x̂ when `normed`. dx and dw may be undefined: not wanted. dw is f32 (or the
// compute dtype), added to when add_dw. `other`, of the dtype of dx, is added to dx when it is given; it may be dx
// itself.
struct RmsNormBackwardArgs {
  Tensor x, w, rrms, dy, dx, dw;
  bool add_dw, normed;
  Tensor other{};
};
extern const Kernel<RmsNormBackwardArgs> rms_norm_backward;

// What the norm of a head does: layer norm does both, RMSNorm only scales; without either x̂ is x.
struct HeadNormSteps {
  bool centred, scaled;  // the mean taken out; times (mean square + eps)^-1/2 of what is left
};

// A second branch, which joins the normed heads before the gate: (1 - rho) ⊙ w x̂ + rho ⊙ value when convex, otherwise
// w x̂ + rho ⊙ value. value [N, H, E] of the dtype of x; rho [H, E] of its compute dtype.
struct HeadNormSide {
  Tensor value{}, rho{};
  bool convex = false;
};

// Norm of each head, without bias: y = w x̂. x, y [N, H, E] of one dtype; w [H, E] of its compute dtype; stats
// [N, H, 2], of the compute dtype, receives what was taken out and what scaled. E > 0. With a gate, of the shape and
// dtype of x, the result is multiplied by σ(gate); only then may there be a side.
struct HeadNormArgs {
  Tensor x, w, y, stats;
  double eps;
  HeadNormSteps steps;
  Tensor gate{};
  HeadNormSide side{};
};
extern const Kernel<HeadNormArgs> head_norm;

// dx, dw, dgate, and of the side dvalue and drho, have the shapes and dtypes of x, w, gate, value and rho; each may be
// undefined: not wanted. All are written, but dw is added to when add_dw.
struct HeadNormBackwardArgs {
  Tensor x, w, stats, dy, dx, dw;
  bool add_dw;
  double eps;
  HeadNormSteps steps;
  Tensor gate{}, dgate{};
  HeadNormSide side{};
  Tensor dvalue{}, drho{};
};
extern const Kernel<HeadNormBackwardArgs> head_norm_backward;

}  // namespace blalm::kernels
