#include "models/features/mlstm_output.h"

namespace blalm {

using ops::HeadNormKind;

namespace {
constexpr double kEps = 1e-6;  // spec §5.7
}

MlstmOutput::MlstmOutput(Module& parent, std::string name, std::int64_t heads, std::int64_t head_dim, HeadNormKind kind)
    : Module(parent, std::move(name)), heads_(heads), head_dim_(head_dim), kind_(kind) {
  if (kind != HeadNormKind::none)
    weight_ = &add_parameter("weight", {heads * head_dim}, Role::vector, init::constant(1));
}

Var MlstmOutput::forward(Pass& pass, const Var& h, const Var& gate, std::span<const ops::SideBranch> sides) {
  const Scope scope = enter(pass);
  Var weight;
  if (weight_ != nullptr) weight = ops::reshape(pass.parameter(*weight_), {heads_, head_dim_});
  return ops::gated_head_norm(h, weight, gate, kEps, kind_, sides);
}

double MlstmOutput::flops(std::int64_t) const {
  return (ops::head_norm_flops(kind_) + 5) * static_cast<double>(heads_ * head_dim_);  // 5: the gate
}

}  // namespace blalm
