#include "blalm/models/linear.h"

namespace blalm {

Linear::Linear(Module& parent, std::string name, std::int64_t in, std::int64_t out, const Init& weight_init, Role role,
               const std::optional<Init>& bias_init)
    : Module(parent, std::move(name)),
      weight(add_parameter("weight", {out, in}, role, weight_init)),
      in_(in),
      out_(out) {
  if (bias_init) bias = &add_parameter("bias", {out}, Role::vector, *bias_init);
}

Var Linear::forward(Pass& pass, const Var& x) { return forward_to(x.dtype(), pass, x); }

Var Linear::forward_to(DType out, Pass& pass, const Var& x) {
  const Scope scope = enter(pass);
  return ops::linear_to(out, x, pass.parameter(weight), bias != nullptr ? pass.parameter(*bias) : Var());
}

std::vector<Var> project(Pass& pass, const Var& x, std::initializer_list<Projection> projections) {
  std::vector<ops::LinearLayer> layers;
  for (const Projection& p : projections)
    layers.push_back(
        {pass.parameter(p.layer.weight), p.layer.bias != nullptr ? pass.parameter(*p.layer.bias) : Var(), p.wide});
  return ops::linears(x, layers);
}

}  // namespace blalm
