// Llama-style self-attention (spec §4.5), the mixer of the Transformer baseline.
#pragma once

#include "blalm/models/config.h"
#include "blalm/models/key_value_cache.h"
#include "blalm/models/linear.h"
#include "blalm/models/mixer.h"

namespace blalm {

class AttentionMixer : public Mixer {
 public:
  AttentionMixer(Module& parent, std::string name, const ModelConfig& config);
  static void check(const ModelConfig& config);

  Var forward(Pass& pass, const Var& x) override;
  double flops(std::int64_t length) const override;

 private:
  std::int64_t heads_, groups_, head_dim_;
  double theta_;
  Linear q_proj_, k_proj_, v_proj_, o_proj_;
  KeyValueCache cache_;
};

}  // namespace blalm
