// Settings that nobody set, chosen by the size of the training text.
#pragma once

#include <cstdint>
#include <string>

#include "apps/common/run_config.h"

namespace blalm {

// Replaces every "auto" that depends on the text, of `tokens` training tokens, and train.micro_batch 0:
//   train.batch      a power of two from 4 to 64 sequences, for about 200 steps per pass over the text
//   train.epochs     1 to 10 passes, as many as make 500 steps (1 where optim.steps says how long the run is)
//   optim.optimizer  muon
//   optim.lr         0.003 with muon (in its keller-jordan form times 0.2 sqrt(width)), 0.001 with adamw
//   train.micro_batch  about 8192 tokens, a divisor of the batch
// A setting that was given stays, and the others follow it. Returns what was chosen and why, in one line, or nothing
// when nothing was. ConfigError for a micro-batch that is no divisor of a batch that was given.
std::string choose_for_text(RunConfig& config, std::int64_t tokens);

// What to say of a run that is too short to learn much: nothing from 300 steps on.
std::string too_short(std::int64_t steps);
// What to say of a warm-up that a run of `steps` does not get through, so that its rate only climbs.
std::string too_long_warmup(const OptimConfig& config, std::int64_t steps);

}  // namespace blalm
