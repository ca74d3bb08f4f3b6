// Rows of a table by their numbers, and the sum of gradients back into it.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// y[i] = weight[ids[i]]: ids i32 [N], all inside [0, V) (the op checks), weight [V, d], y [N, d].
struct EmbeddingArgs {
  Tensor ids, weight, y;
};
extern const Kernel<EmbeddingArgs> embedding;

// dweight[v] = Σ_{i: ids[i] = v} dy[i], in the order of i; added to what is there when `add`.
struct EmbeddingBackwardArgs {
  Tensor ids, dy, dweight;
  bool add;
};
extern const Kernel<EmbeddingBackwardArgs> embedding_backward;

}  // namespace blalm::kernels
