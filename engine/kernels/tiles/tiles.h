// The product of two blocks, on either unit.
#pragma once

#include <cstdint>

#include "blalm/core/dtype.h"
#include "blalm/kernels/tiles/unit.h"

namespace blalm::kernels::tiles {

// `steps` pairs of pieces (gemm.h). A left piece is `left_step` elements after the one before it, its lower half `half`
// elements after its upper one, and its rows are `row` apart; a right piece is `right_step` elements on. `right_near`:
// the right pieces lie in the first cache and stay there; otherwise they do not push others out of it. Asks for 32
// rows.
struct Pieces {
  const BFloat16* left;
  std::int64_t left_step, half, row;
  const BFloat16* right;
  std::int64_t right_step;
  std::int64_t steps;
  bool right_near = false;
};

// A thread's registers, for as long as this lives: one a thread at a time.
class BlockMultiplier {
 public:
  explicit BlockMultiplier(Unit unit);
  ~BlockMultiplier();
  BlockMultiplier(const BlockMultiplier&) = delete;
  BlockMultiplier& operator=(const BlockMultiplier&) = delete;

  // How many rows left operands have, 1 to 32; at first 32.
  void set_rows(std::int64_t rows) {
    if (rows == rows_) return;
    rows_ = rows;
    if (unit_ == Unit::amx) configure();
  }

  // sums = Σ left · right, or sums += it; [rows, 32] with rows `stride` elements apart.
  void operator()(const Pieces& pieces, float* sums, std::int64_t stride, bool add) const;

 private:
  void configure() const;  // AMX's tiles for so many rows

  Unit unit_;
  std::int64_t rows_ = 32;
};

}  // namespace blalm::kernels::tiles
