// Settings of the optimiser and of the learning rate's schedule (spec §2, §13).
#pragma once

#include <cstdint>

#include "engine/core/fields.h"

namespace blalm {

enum class OptimizerKind { adamw, muon };
enum class MuonForm { moonlight, keller_jordan };
enum class NewtonSchulzPrecision { automatic, f32, bf16 };  // automatic: what a run makes of it, else f32
enum class ScheduleKind { cosine, linear, wsd, constant };
enum class WsdShape { linear, sqrt };

struct OptimConfig {
  Auto<OptimizerKind> optimizer = OptimizerKind::adamw;
  Auto<double> lr = 1e-3;
  double weight_decay = 0.1;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double momentum = 0.95;
  bool nesterov = true;
  MuonForm muon_form = MuonForm::moonlight;
  std::int64_t ns_steps = 5;
  NewtonSchulzPrecision ns_precision = NewtonSchulzPrecision::automatic;
  bool gates_in_adamw = false;
  double clip = 1.0;
  ScheduleKind schedule = ScheduleKind::cosine;
  std::int64_t steps = 0;
  Amount warmup{5, true};
  Amount decay{20, true};
  Amount min_lr{10, true};
  WsdShape wsd_shape = WsdShape::linear;

  // Section "optim". The list refers to this object.
  Fields fields();
  // Throws ConfigError when fields contradict each other (each alone is checked when it is set). A rate that is not
  // chosen yet contradicts none.
  void validate() const;
};

}  // namespace blalm
