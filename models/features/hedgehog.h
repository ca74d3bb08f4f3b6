// Hedgehog feature map (spec §11): positive features φ(W x + c) whose products mimic softmax attention.
#pragma once

#include "blalm/models/config.h"
#include "blalm/models/mixer.h"

namespace blalm {

class HedgehogMap : public FeatureMapModule {
 public:
  HedgehogMap(Module& parent, std::string name, const ModelConfig& config, std::int64_t heads);

  Var forward(Pass& pass, const Var& x) override;  // [B, T, H, D] -> [B, T, H, 2D]
  std::int64_t features() const override { return 2 * head_dim_; }
  double scale() const override { return 1; }  // spec §11.4
  double flops(std::int64_t) const override;

 private:
  std::int64_t heads_, head_dim_;
  ops::FeatureMap map_;
  Parameter* weight_;          // [D, D], shared by the heads; lol: [H, D, D]
  Parameter* bias_ = nullptr;  // [D]; lol: none
};

}  // namespace blalm
