// Softmax and negative log-likelihood of rows of logits (spec §3.4).
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// losses[i] = log Σ_v exp(z_iv) - z_i,target, 0 where the target is -1; lse[i] = log Σ_v exp(z_iv).
// logits [N, V]; targets i32 [N] in [-1, V) (the op checks); losses, lse [N] of the compute dtype; losses may be
// undefined. z = soft_cap · tanh(logits / soft_cap) where soft_cap > 0, else z = logits.
struct CrossEntropyArgs {
  Tensor logits, targets, losses, lse;
  double soft_cap;
};
extern const Kernel<CrossEntropyArgs> cross_entropy;

// dlogits = factor · (softmax(z) - onehot(target)) · dz/dlogits, rows of 0 where the target is -1. dlogits is of the
// dtype of logits, and may be the same tensor, or bf16 for f32 logits.
struct CrossEntropyBackwardArgs {
  Tensor logits, targets, lse, dlogits;
  double factor, soft_cap;
};
extern const Kernel<CrossEntropyBackwardArgs> cross_entropy_backward;

// Both for the logits of an output head, z = x Wᵀ, with their gradients: dx = dz W, dw = dzᵀ x, where dz = factor ·
// (softmax(z) - onehot(target)) · slope of the cap. x [N, d], weight [V, d] of x's dtype or its compute dtype, losses
// [N] of the compute dtype. dx [N, d] of x's dtype and dw [V, d] of the weight's are undefined when they are not
// wanted; dw is added to when `add_dw`.
struct HeadLossArgs {
  Tensor x, weight, targets, losses;
  double factor, soft_cap;
  Tensor dx, dw;
  bool add_dw;
};
extern const Kernel<HeadLossArgs> head_loss;

}  // namespace blalm::kernels
