// Short convolution (spec §7): each channel of a stream is filtered over its last K positions, then SiLU.
#include <cmath>

#include "blalm/models/config.h"
#include "blalm/models/config_lists.h"

namespace blalm {
namespace {

class ShortConv : public Stage {
 public:
  ShortConv(Module& parent, std::string name, const ModelConfig& c, std::int64_t channels)
      : Stage(parent, std::move(name)),
        channels_(channels),
        kernel_(c.conv_kernel),
        bound_(1 / std::sqrt(static_cast<double>(kernel_))),
        weight_(add_parameter("weight", {channels, kernel_}, Role::convolution, init::uniform(-bound_, bound_))),
        last_(add_state("last", {kernel_ - 1, channels})) {}

  Var forward(Pass& pass, const Var& x) override {  // [B, T, C] -> [B, T, C]
    const Scope scope = enter(pass);
    const Var weight = pass.parameter(weight_);
    if (!pass.decoding()) return ops::short_conv(x, weight);

    Tensor& last = pass.slot(last_);
    const std::int64_t length = x.dim(1), before = kernel_ - 1;
    const Var parts[] = {last, x};
    const Var all = ops::concat(parts, 1);  // [B, K-1+T, C]
    last.copy_from(ops::slice(all, 1, length, length + before).value());
    return ops::slice(ops::short_conv(all, weight), 1, before, before + length);
  }

  double flops(std::int64_t) const override { return static_cast<double>(channels_ * (2 * kernel_ + 5)); }

 private:
  std::int64_t channels_, kernel_;
  double bound_;       // of the first values, spec §7.2
  Parameter& weight_;  // [C, K]
  int last_;           // slot [K-1, C]: the last inputs
};

}  // namespace

extern constinit const StageEntry short_conv_stage{"conv", "conv_kernel",
                                                   [](const ModelConfig& c) { return c.conv_kernel > 0; },
                                                   make<Stage, ShortConv, const ModelConfig&, std::int64_t>};

}  // namespace blalm
