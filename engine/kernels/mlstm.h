// The matrix LSTM (spec §5): one function of q, k, v and two gates, computed in three forms.
//   recurrent   position by position, carrying a state of D x E numbers a head (§5.3): decoding
//   parallel    all pairs of positions at once, as attention does (§5.4): the definition in one line
//   chunkwise   parallel inside a chunk, recurrent from chunk to chunk, linear in T (§5.5): training
// Each implementation is one form and declines the others.
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

enum class MlstmForm { recurrent, parallel, chunkwise };

// What the recurrence carries, of the compute dtype. The true state is e^m C and e^m n: m keeps the numbers in range.
struct MlstmCarry {
  Tensor C;  // [B, H, D, E]
  Tensor n;  // [B, H, D]
  Tensor m;  // [B, H]
  bool defined() const { return C.defined(); }
};

// q: [B, T, H, D]; k: [B, T, G, D]; v: [B, T, G, E]; h: [B, T, H, E], all of one dtype; G divides H, and query head j
// reads key head j / (H / G). i, f: [B, T, H], gates before exp and sigmoid, of the compute dtype.
struct MlstmArgs {
  MlstmForm form;
  Tensor q, k, v, i, f, h;
  double scale, eps;
  std::int64_t chunk;  // positions a chunk, 1 or more; the last chunk of a sequence may be shorter

  // The state before the first position (undefined: empty, all zero) and the one after the last (undefined: not
  // wanted). Both may be the same tensors.
  MlstmCarry first, last;

  // For the backward pass; undefined: not wanted. a, m: [B, T, H], the normaliser's a_t and the stabiliser m_t. states:
  // those before each chunk, C: [B, H, chunks, D, E] of q's dtype, which the products of the backward pass round it to
  // anyway, n: [B, H, chunks, D], m: [B, H, chunks]; chunkwise form only.
  Tensor a, m;
  MlstmCarry states;
};
extern const Kernel<MlstmArgs> mlstm;

// What the forward pass read, wrote and kept, the gradient dh, and the gradients to write, each of which may be
// undefined: not wanted. The sequences began with the empty state.
struct MlstmBackwardArgs {
  MlstmForm form;
  Tensor q, k, v, i, f, h;
  double scale, eps;
  std::int64_t chunk;
  Tensor a, m;
  MlstmCarry states;
  Tensor dh, dq, dk, dv, di, df;
};
extern const Kernel<MlstmBackwardArgs> mlstm_backward;

// The sizes of either.
struct MlstmSizes {
  std::int64_t B, T, H, G, D, E;

  template <class Args>
  explicit MlstmSizes(const Args& a)
      : B(a.q.dim(0)), T(a.q.dim(1)), H(a.q.dim(2)), G(a.k.dim(2)), D(a.q.dim(3)), E(a.v.dim(3)) {}
  std::int64_t heads_a_group() const { return H / G; }
  std::int64_t chunks(std::int64_t chunk) const { return T / chunk + (T % chunk != 0 ? 1 : 0); }
};

}  // namespace blalm::kernels
