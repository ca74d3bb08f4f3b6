#include "optim/groups.h"

namespace blalm {

UpdateRule update_rule(const Parameter& parameter, const OptimConfig& config) {
  if (config.optimizer != OptimizerKind::muon || parameter.value.rank() < 2) return UpdateRule::adamw;
  const bool hidden = parameter.role == Role::matrix || (parameter.role == Role::gate && !config.gates_in_adamw);
  // An empty matrix has no singular values to even out.
  return hidden && parameter.value.numel() > 0 ? UpdateRule::muon : UpdateRule::adamw;
}

Role role_of_name(std::string_view name, int rank) {
  const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  if (has("embed_tokens.") || has("lm_head.") || name.ends_with("meta_tokens")) return Role::embedding;
  if (has("_conv.")) return Role::convolution;
  if (name.ends_with("_alpha")) return Role::scalar;
  if (rank < 2 || has("norm.")) return Role::vector;
  return has(".igate.") || has(".fgate.") ? Role::gate : Role::matrix;
}

bool decays(const Parameter& parameter) {
  return parameter.value.rank() >= 2 && parameter.role != Role::vector && parameter.role != Role::scalar;
}

}  // namespace blalm
