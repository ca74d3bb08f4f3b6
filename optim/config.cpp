#include "optim/config.h"

#include <fmt/format.h>

#include "engine/core/error.h"

namespace blalm {

Fields OptimConfig::fields() {
  // Averages with a rate of 1 would never take in a gradient.
  constexpr double kBelowOne = 0.999999;
  Fields f("optim");
  f.add("optimizer", optimizer, {"adamw", "muon"},
        "adamw for all, or muon for hidden matrices and adamw for the rest; auto: muon");
  f.add("lr", lr, "peak learning rate, of both groups; auto: 0.003 with muon, 0.001 with adamw").at_least(0);
  f.add("weight_decay", weight_decay, "decoupled weight decay, times the learning rate; none on vectors and scalars")
      .at_least(0);
  f.add("beta1", beta1, "AdamW: decay rate of the mean gradient").at_least(0).at_most(kBelowOne);
  f.add("beta2", beta2, "AdamW: decay rate of the mean squared gradient").at_least(0).at_most(kBelowOne);
  f.add("eps", eps, "AdamW: added to the root of the mean squared gradient").above(0);
  f.add("momentum", momentum, "Muon: decay rate of the momentum").at_least(0).at_most(kBelowOne);
  f.add("nesterov", nesterov, "Muon: look one gradient ahead");
  f.add("muon_form", muon_form, {"moonlight", "keller-jordan"},
        "scale of Muon's update: 0.2 sqrt(max(r, c)), which suits AdamW's lr, or sqrt(max(1, r/c)), which wants about "
        "0.2 sqrt(n) times that lr");
  f.add("ns_steps", ns_steps, "Muon: Newton-Schulz iterations").at_least(1).at_most(100);
  f.add("ns_precision", ns_precision, {"auto", "f32", "bf16"},
        "Muon: operands of the Newton-Schulz products; auto: those of the model's products");
  f.add("gates_in_adamw", gates_in_adamw, "give the gate matrices to AdamW even under Muon");
  f.add("clip", clip, "largest global gradient norm, 0 = no clipping").at_least(0);
  f.add("schedule", schedule, {"cosine", "linear", "wsd", "constant"}, "learning rate over time, after the warm-up");
  f.add("steps", steps, "optimiser steps, 0 = from data and epochs")
      .at_least(0)
      .at_most(1e12)
      .when_resumed(OnResume::lengthens);
  f.add("warmup", warmup, "steps of linear warm-up, or a share of all steps").whole().at_most(1e12);
  f.add("decay", decay, "wsd: steps of the final decay, or a share of all steps").whole().at_most(1e12);
  f.add("min_lr", min_lr, "cosine, wsd: final learning rate, or a share of lr");
  f.add("wsd_shape", wsd_shape, {"linear", "sqrt"}, "wsd: the decay falls as 1 - x or as 1 - sqrt(x)");
  return f;
}

void OptimConfig::validate() const {
  const bool has_floor = schedule == ScheduleKind::cosine || schedule == ScheduleKind::wsd;
  if (has_floor && !min_lr.percent && !lr.automatic && min_lr.value > lr)
    throw ConfigError(expected_got("optim.min_lr", fmt::format("at most optim.lr = {}, or a share of it", lr),
                                   fmt::format("{}", min_lr.value),
                                   min_lr.value <= 1 ? percentage_of_share(min_lr.value) : "a share is written 10%"));
}

}  // namespace blalm
