// Keys and values that attention still needs while decoding: all of them, or those of a window and of the memory
// (spec §8.1, §9.1), in which case the size does not depend on the position.
//
// Rows are filled from the last one on: position s lies s rows before the end. With a window W and a memory M there are
// M + W rows, and position s >= M lies M + (s - M) mod W rows before the end. So at each position the rows in use are
// the last ones, of every sequence of a batch alike, and exactly the positions that a token sees: one that is added
// sees them through a window over the rows in use, of which nothing is copied. Buffers begin without rows and double
// when they have to grow, up to M + W: a wide window costs nothing until it is filled.
#pragma once

#include "models/module.h"

namespace blalm {

class KeyValueCache {
 public:
  // Two slots of `owner`. heads: those of keys and values. A window of 0 sees everything.
  KeyValueCache(Module& owner, std::int64_t heads, std::int64_t key_dim, std::int64_t value_dim,
                std::int64_t window = 0, std::int64_t memory = 0);

  // Causal attention of q [B, T, H, D] over k [B, T, G, D] and v [B, T, G, E], rotated already, and, when decoding,
  // over what came before -> [B, T, H, E].
  Var attend(Pass& pass, const Var& q, const Var& k, const Var& v) const;

  // How many positions one of a sequence of `length` sees, on average.
  double mean_visible(std::int64_t length) const;

 private:
  // Rows that a buffer may need; 0: no end.
  std::int64_t most_rows() const { return window_ == 0 ? 0 : memory_ + window_; }
  // The row of a position in a buffer [B, rows, G, D].
  std::int64_t row(std::int64_t position, const Tensor& buffer) const;
  // The positions before `position` that are kept and can still be seen, oldest first.
  std::vector<std::int64_t> positions_before(std::int64_t position) const;
  // Writes x [B, T, G, D], which stands at `position`, into the buffer [B, rows, G, D].
  void store(Tensor& buffer, const Tensor& x, std::int64_t position) const;

  ops::AttentionOptions options() const { return {.window = window_, .memory = memory_}; }

  std::int64_t window_, memory_;
  int keys_, values_;  // slots
};

}  // namespace blalm
