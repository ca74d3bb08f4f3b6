// Normalisations over the last axis (spec §4.2, §5.7).
#pragma once

#include "blalm/core/tensor.h"
#include "blalm/kernels/kernel.h"

namespace blalm::kernels {

// y = w x r with r = (mean(x²) + eps)^-1/2. x, y: [rows, d]; w: [d]; rrms: [rows], of the compute dtype, holds r.
// x, y may be f32 or bf16 in any mix; w has the compute dtype of x, or any one dtype for f64 and c128.
struct RmsNormArgs {
  Tensor x, w, y, rrms;
  double eps;
};
extern const Kernel<RmsNormArgs> rms_norm;

// dx and dw may be undefined: not wanted. dw is f32 (or the compute dtype), added to when add_dw.
struct RmsNormBackwardArgs {
  Tensor x, w, rrms, dy, dx, dw;
  bool add_dw;
};
extern const Kernel<RmsNormBackwardArgs> rms_norm_backward;

// Layer norm of each head, without bias: x, y [N, H, E] of one dtype; w [H, E] of its compute dtype; stats [N, H, 2],
// of the compute dtype, receives mean and (variance + eps)^-1/2. E > 0.
struct HeadNormArgs {
  Tensor x, w, y, stats;
  double eps;
};
extern const Kernel<HeadNormArgs> head_norm;

// dx and dw may be undefined: not wanted. dw [H, E], of the compute dtype, is added to when add_dw.
struct HeadNormBackwardArgs {
  Tensor x, w, stats, dy, dx, dw;
  bool add_dw;
  double eps;
};
extern const Kernel<HeadNormBackwardArgs> head_norm_backward;

namespace reference {
void rms_norm(const RmsNormArgs&);
void rms_norm_backward(const RmsNormBackwardArgs&);
void head_norm(const HeadNormArgs&);
void head_norm_backward(const HeadNormBackwardArgs&);
}  // namespace reference

}  // namespace blalm::kernels
