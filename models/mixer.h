// What a layer's first half may be, and the two interfaces behind which variants of it stand.
#pragma once

#include "blalm/models/module.h"

namespace blalm {

// Carries information between positions.
class Mixer : public Module {
 public:
  using Module::Module;
  // Normed input [B, T, d] in the operand dtype -> [B, T, d] in the residual dtype. Position t depends on 0..t only.
  virtual Var forward(Pass& pass, const Var& x) = 0;
};

// Maps queries or keys to the features that the mLSTM works on.
class FeatureMapModule : public Module {
 public:
  using Module::Module;
  virtual Var forward(Pass& pass, const Var& x) = 0;  // [B, T, H, D] -> [B, T, H, features()]
  virtual std::int64_t features() const = 0;
  virtual double scale() const = 0;  // of the product of query and key features
};

}  // namespace blalm
