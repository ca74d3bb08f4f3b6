// Hedgehog feature map (spec §11): positive features φ(W x + c) whose products mimic softmax attention.
#include "models/config.h"
#include "models/config_lists.h"

namespace blalm {
namespace {

class HedgehogMap : public FeatureMapModule {
 public:
  HedgehogMap(Module& parent, std::string name, const ModelConfig& config, std::int64_t heads)
      : FeatureMapModule(parent, std::move(name)),
        heads_(heads),
        head_dim_(config.head_dim()),
        map_(config.hedgehog_map) {
    const bool by_head = map_ == ops::FeatureMap::lol;
    const Shape square{head_dim_, head_dim_};
    weight_ =
        &add_parameter("weight", by_head ? square.with_inserted(0, heads) : square, Role::matrix, init::identity());
    if (!by_head) bias_ = &add_parameter("bias", {head_dim_}, Role::vector, init::constant(0));
  }

  Var forward(Pass& pass, const Var& x) override {  // [B, T, H, D] -> [B, T, H, 2D]
    const Scope scope = enter(pass);
    return ops::hedgehog(x, pass.parameter(*weight_), bias_ != nullptr ? pass.parameter(*bias_) : Var(), map_);
  }

  std::int64_t features() const override { return 2 * head_dim_; }
  double scale() const override { return 1; }  // spec §11.4
  double flops(std::int64_t) const override {  // of the product and of the softmax over 2D
    return static_cast<double>(heads_ * head_dim_) * (2 * static_cast<double>(head_dim_) + 10);
  }

 private:
  std::int64_t heads_, head_dim_;
  ops::FeatureMap map_;
  Parameter* weight_ = nullptr;  // [D, D], shared by the heads; lol: [H, D, D]
  Parameter* bias_ = nullptr;    // [D]; lol: none
};

}  // namespace

extern constinit const FeatureMapEntry hedgehog_map{
    "hedgehog", make<FeatureMapModule, HedgehogMap, const ModelConfig&, std::int64_t>};

}  // namespace blalm
