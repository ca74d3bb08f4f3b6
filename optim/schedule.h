// Learning-rate schedules (spec §13.5).
#pragma once

#include <cstdint>

#include "blalm/optim/config.h"

namespace blalm {

// The learning rate of optimiser step `step`, which counts from 1, out of `total`. With η = lr, Nw = warmup and
// Nd = decay rounded to whole steps:
//   step ≤ Nw        η step/Nw, so exactly η at Nw (and 0 for step 0)
//   cosine           from η at Nw to min_lr at total:  min_lr + (η − min_lr) ½ (1 + cos π x),  x = (step − Nw)/(total −
//   Nw) linear           from η at Nw to 0 at total wsd              η until total − Nd, then to min_lr at total as 1 −
//   x or 1 − √x constant         η
// Past `total` the last value stays. A warm-up longer than `total` is cut to it, a WSD decay to what the warm-up
// leaves. total 0 (an open end) is for a constant schedule with a warm-up in steps; else ConfigError.
double lr_at(std::int64_t step, std::int64_t total, const OptimConfig& config);

}  // namespace blalm
