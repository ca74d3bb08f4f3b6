// RMSNorm (spec §4.2), from the residual stream to the dtype that products take.
#pragma once

#include "models/module.h"

namespace blalm {

// The stream with its update added, in the residual dtype, and the norm of that in the operand dtype; [B, T, d] each.
struct Normed {
  Var sum, normed;
};

class RmsNorm : public Module {
 public:
  RmsNorm(Module& parent, std::string name, std::int64_t width, double eps)
      : Module(parent, std::move(name)),
        weight(add_parameter("weight", {width}, Role::vector, init::constant(1))),
        width_(width),
        eps_(eps) {}

  Normed forward(Pass& pass, const ResidualStream& in) {
    const Scope scope = enter(pass);
    const Var w = pass.parameter(weight);
    if (!in.update.defined()) return {in.x, ops::rms_norm_to(pass.operand(), in.x, w, eps_)};
    const std::vector<Var> both = ops::add_rms_norm_to(pass.operand(), in.x, in.update, w, eps_);
    return {both[0], both[1]};
  }
  double flops(std::int64_t) const override { return 4.0 * static_cast<double>(width_); }

  Parameter& weight;

 private:
  std::int64_t width_;
  double eps_;
};

}  // namespace blalm
