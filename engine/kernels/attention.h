// Causal softmax attention with a sliding window and memory positions (spec §4.5, §8, §9).
#pragma once

#include <algorithm>

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// The keys that the query at one position sees: [0, memory_end) and [window_begin, end); memory_end <= window_begin.
struct VisibleKeys {
  std::int64_t memory_end, window_begin, end;

  std::int64_t count() const { return memory_end + end - window_begin; }
};

// Which key a query sees: the key at s is visible from position t when s <= t and (t - s < window or s < memory).
struct Band {
  std::int64_t window = 0;  // 0: every earlier position
  std::int64_t memory = 0;

  VisibleKeys visible(std::int64_t position) const {
    const std::int64_t begin = window == 0 ? 0 : std::max<std::int64_t>(0, position - window + 1);
    return {std::min(memory, begin), begin, position + 1};
  }
};

// o = softmax(scale q kᵀ) v over the visible keys, for each batch b and head h; head h reads key head h / (H / G).
// q: [B, Tq, H, D], k: [B, Tk, G, D], v: [B, Tk, G, E], o: [B, Tq, H, E], of one dtype; Tq <= Tk, G divides H. Query i
// stands at position Tk - Tq + i. lse: [B, H, Tq] of the compute dtype takes log Σ exp(scale q·k), all that backward
// needs to have the probabilities again.
struct AttentionArgs {
  Tensor q, k, v, o, lse;
  Band band;
  double scale;

  std::int64_t first_query() const { return k.dim(1) - q.dim(1); }
};
extern const Kernel<AttentionArgs> attention;

// d_o stands for do, which C++ keeps for itself. dq, dk and dv may be undefined: not wanted.
struct AttentionBackwardArgs {
  Tensor q, k, v, o, lse, d_o, dq, dk, dv;
  Band band;
  double scale;

  std::int64_t first_query() const { return k.dim(1) - q.dim(1); }
};
extern const Kernel<AttentionBackwardArgs> attention_backward;

// The sizes of either call, and where rows stand: of [B, T, H, width] tensors in rows, of lse in elements.
struct AttentionSizes {
  std::int64_t batch, queries, keys, heads, groups, d, e;

  template <class Args>
  explicit AttentionSizes(const Args& a)
      : batch(a.q.dim(0)),
        queries(a.q.dim(1)),
        keys(a.k.dim(1)),
        heads(a.q.dim(2)),
        groups(a.k.dim(2)),
        d(a.q.dim(3)),
        e(a.v.dim(3)) {}
  std::int64_t query(std::int64_t b, std::int64_t i, std::int64_t h) const { return (b * queries + i) * heads + h; }
  std::int64_t key(std::int64_t b, std::int64_t s, std::int64_t g) const { return (b * keys + s) * groups + g; }
  std::int64_t lse(std::int64_t b, std::int64_t i, std::int64_t h) const { return (b * heads + h) * queries + i; }
};

// Visible (query, key) pairs of one head, for queries at [first, first + queries).
std::int64_t visible_pairs(const Band& band, std::int64_t first, std::int64_t queries);

}  // namespace blalm::kernels
