// No feature map: the mLSTM works on queries and keys as they are, scaled by D^-1/2 (spec §5.2).
#include <cmath>

#include "models/config.h"
#include "models/config_lists.h"

namespace blalm {
namespace {

class IdentityMap : public FeatureMapModule {
 public:
  IdentityMap(Module& parent, std::string name, const ModelConfig& config, std::int64_t)
      : FeatureMapModule(parent, std::move(name)), head_dim_(config.head_dim()) {}

  Var forward(Pass&, const Var& x) override { return x; }
  std::int64_t features() const override { return head_dim_; }
  double scale() const override { return 1 / std::sqrt(static_cast<double>(head_dim_)); }

 private:
  std::int64_t head_dim_;
};

}  // namespace

extern constinit const FeatureMapEntry identity_map{
    "none", make<FeatureMapModule, IdentityMap, const ModelConfig&, std::int64_t>};

}  // namespace blalm
