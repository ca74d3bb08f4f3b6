#include "blalm/models/features/hedgehog.h"

namespace blalm {

HedgehogMap::HedgehogMap(Module& parent, std::string name, const ModelConfig& config, std::int64_t heads)
    : FeatureMapModule(parent, std::move(name)),
      heads_(heads),
      head_dim_(config.head_dim()),
      map_(config.hedgehog_map) {
  const bool by_head = map_ == ops::FeatureMap::lol;
  const Shape square{head_dim_, head_dim_};
  weight_ = &add_parameter("weight", by_head ? square.with_inserted(0, heads) : square, Role::matrix, init::identity());
  if (!by_head) bias_ = &add_parameter("bias", {head_dim_}, Role::vector, init::constant(0));
}

Var HedgehogMap::forward(Pass& pass, const Var& x) {
  const Scope scope = enter(pass);
  return ops::hedgehog(x, pass.parameter(*weight_), bias_ != nullptr ? pass.parameter(*bias_) : Var(), map_);
}

double HedgehogMap::flops(std::int64_t) const { return 2.0 * static_cast<double>(heads_ * head_dim_ * head_dim_); }

}  // namespace blalm
