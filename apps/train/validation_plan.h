// How much of the held-out text a run measures, and when (settings train.valid_every and train.valid_blocks).
#pragma once

#include <cstdint>

#include "engine/core/fields.h"

namespace blalm {

// The steps after which something is due that comes every so many steps, or a share of all: at the end, and whenever
// the steps pass a multiple of the interval. A quarter of 353 steps is 88.25, so 25% means steps 89, 177, 265 and 353.
bool due_at(std::int64_t step, std::int64_t total, const Amount& every);
// How many of the steps after `step` are due.
std::int64_t due_after(std::int64_t step, std::int64_t total, const Amount& every);

// Blocks of the held-out text in each validation, and in the last.
struct ValidationPlan {
  std::int64_t blocks = 0;       // that there are
  std::int64_t sample = 0;       // in each validation, always the same ones
  std::int64_t last = 0;         // at the end of the run: the sample and perhaps more
  std::int64_t validations = 0;  // of the sample: before the first step, in between and at the end

  // Of the time of the run without validations; a forward pass takes a third of a step on the same tokens.
  double cost(std::int64_t training_blocks) const;
};

// For a run of `total` steps of `batch` sequences, with `blocks` held-out blocks. valid_blocks "auto": validations cost
// at most a tenth of the training together. The last takes the whole text where that leaves room for the others, else
// what half of the tenth allows. A sample has `micro_batch` blocks or a multiple, or all.
ValidationPlan plan_validations(std::int64_t total, std::int64_t batch, std::int64_t micro_batch, std::int64_t blocks,
                                const Amount& every, const Auto<std::int64_t>& valid_blocks);

}  // namespace blalm
