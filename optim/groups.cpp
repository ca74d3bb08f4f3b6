#include "blalm/optim/groups.h"

namespace blalm {

UpdateRule update_rule(const Parameter& parameter, const OptimConfig& config) {
  if (config.optimizer != OptimizerKind::muon || parameter.value.rank() < 2) return UpdateRule::adamw;
  const bool hidden = parameter.role == Role::matrix || (parameter.role == Role::gate && !config.gates_in_adamw);
  // An empty matrix has no singular values to even out.
  return hidden && parameter.value.numel() > 0 ? UpdateRule::muon : UpdateRule::adamw;
}

bool decays(const Parameter& parameter) {
  return parameter.value.rank() >= 2 && parameter.role != Role::vector && parameter.role != Role::scalar;
}

}  // namespace blalm
