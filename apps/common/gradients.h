// The gradients of one training step, by micro-batches: what the trainer runs and the benchmark measures.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "data/shards/loader.h"
#include "models/language_model.h"

namespace blalm {

// Sequences computed at once where nothing else is asked for: about 8192 tokens, a divisor of `batch`.
std::int64_t usual_micro_batch(std::int64_t batch, std::int64_t seq);

struct PassSeconds {
  double forward = 0, backward = 0;
};

// Adds to the parameters' gradients those of the mean loss over the sequences of all micro-batches, each of which
// counts by its share of them. Clears the tape before each; `after` sees it after each reverse sweep. Returns the loss,
// and adds to `seconds`, unless it is null, what the passes took.
double add_gradients(LanguageModel& model, Tape& tape, std::span<const Batch> micro_batches,
                     PassSeconds* seconds = nullptr, const std::function<void(const Tape&)>& after = {});

}  // namespace blalm
