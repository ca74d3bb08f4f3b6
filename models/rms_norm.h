// RMSNorm (spec §4.2), from the residual stream to the dtype that products take.
#pragma once

#include "blalm/models/module.h"

namespace blalm {

class RmsNorm : public Module {
 public:
  RmsNorm(Module& parent, std::string name, std::int64_t width, double eps)
      : Module(parent, std::move(name)),
        weight(add_parameter("weight", {width}, Role::vector, init::constant(1))),
        width_(width),
        eps_(eps) {}

  Var forward(Pass& pass, const Var& x) {  // [..., d] -> [..., d]
    const Scope scope = enter(pass);
    return ops::rms_norm_to(pass.operand(), x, pass.parameter(weight), eps_);
  }
  // x + more and its norm.
  std::vector<Var> forward_sum(Pass& pass, const Var& x, const Var& more) {
    const Scope scope = enter(pass);
    return ops::add_rms_norm_to(pass.operand(), x, more, pass.parameter(weight), eps_);
  }
  double flops(std::int64_t) const override { return 4.0 * static_cast<double>(width_); }

  Parameter& weight;

 private:
  std::int64_t width_;
  double eps_;
};

}  // namespace blalm
