// Rows of a table by their numbers, and the sum of gradients back into it.
#pragma once

#include "blalm/core/tensor.h"
#include "blalm/kernels/kernel.h"

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

namespace reference {
void embedding(const EmbeddingArgs&);
void embedding_backward(const EmbeddingBackwardArgs&);
}  // namespace reference

}  // namespace blalm::kernels
