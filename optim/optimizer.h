// The optimiser: clipping, the check for non-finite gradients, and AdamW or Muon with AdamW (spec §13).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "optim/adamw.h"
#include "optim/config.h"
#include "optim/gradient_norm.h"
#include "optim/groups.h"
#include "optim/muon.h"

namespace blalm {

struct StepResult {
  bool applied = true;        // false: a gradient was not finite, and nothing was changed but the count of skips
  double grad_norm = 0;       // global, before clipping; not finite when not applied
  double gradient_scale = 1;  // below 1 when clipping scaled the gradients
  std::string non_finite;     // name of the first parameter whose gradient was not finite
};

// Numbers about one parameter at the last step.
struct ParameterStatistics {
  std::string name;
  UpdateRule rule = UpdateRule::adamw;
  double grad_norm = 0;   // before clipping
  double update_rms = 0;  // of the step divided by the learning rate, without weight decay: 0.2 is usual
  double value_rms = 0;   // of the weights after the step
};

// All that a later run needs to continue with the same bits.
struct OptimizerState {
  std::map<std::string, Tensor> tensors;  // "adamw.m/NAME", "adamw.v/NAME", "muon.momentum/NAME"
  std::int64_t updates = 0;               // applied so far
  std::int64_t skipped = 0;               // skipped so far
};

class Optimizer {
 public:
  // Parameters, f32 or f64, must outlive this and keep their shapes. All buffers are allocated here, but for Muon's
  // working space, which comes from the pool. Throws ConfigError for a setting out of bounds or two parameters of one
  // name, ShapeError for a parameter of another dtype.
  Optimizer(std::span<Parameter* const> parameters, const OptimConfig& config);
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // One step at this learning rate (see lr_at), or at the configured one. Parameters without a gradient are left
  // alone; gradients stay as they are. AdamW gives the same bits on any number of threads; Muon does where its matrix
  // products do. Throws ConfigError for a learning rate that is negative or not finite, ShapeError for a gradient that
  // does not match its parameter.
  StepResult step(double lr);
  StepResult step() { return step(config_.lr); }
  // Forgets the gradients and frees their buffers: the forward pass has other use for the memory.
  void zero_grad();

  // Whether steps sum up what statistics() tells beyond the gradient norms. Costs a few per cent of an update.
  void collect_statistics(bool on) { collect_ = on; }
  // In the order of construction. Root mean squares are those of the last applied step that collected them, else 0.
  std::vector<ParameterStatistics> statistics() const;

  // Handles on the optimiser's own tensors: write them out, or clone them, before the next step.
  OptimizerState state() const;
  // Copies. Throws DataError that lists every missing, unexpected or mis-shaped tensor, and then changes nothing.
  void restore(const OptimizerState& state);

  const OptimConfig& config() const { return config_; }
  std::int64_t updates() const { return updates_; }
  std::int64_t skipped() const { return skipped_; }

 private:
  OptimConfig config_;
  std::vector<Parameter*> parameters_;
  GradientNorm gradient_norm_;
  AdamW adamw_;
  Muon muon_;
  bool collect_ = false;
  std::int64_t updates_ = 0, skipped_ = 0;
};

}  // namespace blalm
