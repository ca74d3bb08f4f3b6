// One layer (spec §4.1): x = x + mixer(norm(x)), then x = x + mlp(norm(x)). Each sum is made with the norm after it,
// the second one by the next layer.
#pragma once

#include <memory>

#include "models/mixer.h"
#include "models/rms_norm.h"
#include "models/swiglu_mlp.h"

namespace blalm {

class Layer : public Module {
 public:
  Layer(Module& parent, std::string name, const ModelConfig& config);
  ResidualStream forward(Pass& pass, const ResidualStream& in);
  double flops(std::int64_t) const override { return 2.0 * static_cast<double>(width_); }  // of the two sums

 private:
  std::int64_t width_;
  RmsNorm input_layernorm_, post_attention_layernorm_;
  std::unique_ptr<Mixer> mixer_;
  SwigluMlp mlp_;
};

}  // namespace blalm
