// The feed-forward half of a layer (spec §4.3): W_d(silu(W_g x) ⊙ W_u x).
#pragma once

#include "models/config.h"
#include "models/linear.h"

namespace blalm {

class SwigluMlp : public Module {
 public:
  SwigluMlp(Module& parent, std::string name, const ModelConfig& config);
  Var forward(Pass& pass, const Var& x);  // [B, T, d] in the operand dtype -> [B, T, d] in the residual dtype
  double flops(std::int64_t) const override { return 6.0 * static_cast<double>(width_); }  // between the products

  Linear gate_proj, up_proj, down_proj;

 private:
  std::int64_t width_;  // d_ff
};

}  // namespace blalm
