// Softmax and negative log-likelihood of rows of logits (spec §3.4).
#pragma once

#include "blalm/core/tensor.h"
#include "blalm/kernels/kernel.h"

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

namespace reference {
void cross_entropy(const CrossEntropyArgs&);
void cross_entropy_backward(const CrossEntropyBackwardArgs&);
}  // namespace reference

}  // namespace blalm::kernels
