#include "models/linear.h"

namespace blalm {

Linear::Linear(Module& parent, std::string name, std::int64_t in, std::int64_t out, const Init& weight_init, Role role)
    : Module(parent, std::move(name)),
      weight(add_parameter("weight", {out, in}, role, weight_init)),
      in_(in),
      out_(out) {}

Var Linear::forward_to(DType to, Pass& pass, const Var& x) {
  const Scope scope = enter(pass);
  return ops::linear_to(to, x, pass.parameter(weight));
}

std::vector<Var> project_all(Pass& pass, const Var& x, std::span<const Projection> projections) {
  std::vector<ops::LinearLayer> layers;
  for (const Projection& p : projections) layers.push_back({pass.parameter(p.layer.weight), {}, p.out});
  return ops::linears(x, layers);
}

}  // namespace blalm
