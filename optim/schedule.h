// Learning-rate schedules (spec §13.5).
#pragma once

#include <cstdint>

#include "optim/config.h"

namespace blalm {

// The learning rate of optimiser step `step`, which counts from 1, out of `total`. With η = lr, and Nw = warmup and
// Nd = decay rounded to whole steps:
//   step ≤ Nw   η step/Nw, so exactly η at Nw (and 0 for step 0)
//   cosine      min_lr + (η − min_lr) ½ (1 + cos π x) with x = (step − Nw)/(total − Nw): from η to min_lr
//   linear      η (1 − x): from η to 0
//   wsd         η until total − Nd, then as 1 − y or 1 − √y to min_lr, with y = (step − (total − Nd))/Nd
//   constant    η
// Past `total` the last value stays. A warm-up longer than `total` is cut to it, a WSD decay to what the warm-up
// leaves. total 0 (an open end) is for a constant schedule with a warm-up in steps; else ConfigError.
double lr_at(std::int64_t step, std::int64_t total, const OptimConfig& config);

}  // namespace blalm
