#include "models/swiglu_mlp.h"

#include "models/weight_init.h"

namespace blalm {

SwigluMlp::SwigluMlp(Module& parent, std::string name, const ModelConfig& c)
    : Module(parent, std::move(name)),
      gate_proj(*this, "gate_proj", c.hidden_size, c.intermediate_size, inner_init(c)),
      up_proj(*this, "up_proj", c.hidden_size, c.intermediate_size, inner_init(c)),
      down_proj(*this, "down_proj", c.intermediate_size, c.hidden_size, residual_init(c, c.intermediate_size)),
      width_(c.intermediate_size) {}

Var SwigluMlp::forward(Pass& pass, const Var& x) {
  const Scope scope = enter(pass);
  const auto [gate, up] = project(pass, x, gate_proj, up_proj);
  const Var h = ops::swiglu(gate, up);  // [B, T, d_ff]
  return down_proj.forward_to(pass.residual(), pass, h);
}

}  // namespace blalm
