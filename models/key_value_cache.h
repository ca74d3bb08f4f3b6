// Keys and values that attention still needs while decoding: all of them, or those of a window and of the memory
// (spec §8.1, §9.1), in which case the size does not depend on the position.
//
// With a window W and a memory M there are M + W rows: position s < M lies in row s for ever, position s >= M in row
// M + (s - M) mod W. At position t the first min(t + 1, M + W) rows are exactly the positions that t sees.
#pragma once

#include "blalm/models/module.h"

namespace blalm {

class KeyValueCache {
 public:
  // Two slots of `owner`. heads: those of keys and values. A window of 0 sees everything.
  KeyValueCache(Module& owner, std::int64_t heads, std::int64_t key_dim, std::int64_t value_dim,
                std::int64_t window = 0, std::int64_t memory = 0);

  // Causal attention of q [B, T, H, D] over k [B, T, G, D] and v [B, T, G, E], rotated already, and, when decoding,
  // over what came before -> [B, T, H, E].
  Var attend(Pass& pass, const Var& q, const Var& k, const Var& v) const;

 private:
  bool grows() const { return window_ == 0; }
  std::int64_t row(std::int64_t position) const;
  // The rows that hold positions before `position`, oldest first.
  std::vector<std::int64_t> rows_before(std::int64_t position) const;
  // Writes x [B, T, G, D], which stands at `position`, into the buffer [B, rows, G, D].
  void store(Tensor& buffer, const Tensor& x, std::int64_t position) const;

  ops::AttentionOptions options() const { return {.window = window_, .memory = memory_}; }

  std::int64_t window_, memory_;
  int keys_, values_;  // slots
};

}  // namespace blalm
