// Short convolution (spec §7): each channel of q, k and v is filtered over its last K positions, then SiLU. One
// operation for the three streams.
#include <cmath>

#include "models/config.h"
#include "models/config_lists.h"

namespace blalm {
namespace {

// Of one stream.
class Taps : public Module {
 public:
  Taps(Module& parent, std::string name, const ModelConfig& c, std::int64_t channels)
      : Module(parent, std::move(name)),
        channels_(channels),
        kernel_(c.conv_kernel),
        bound_(1 / std::sqrt(static_cast<double>(kernel_))),
        weight_(add_parameter("weight", {channels, kernel_}, Role::convolution, init::uniform(-bound_, bound_))),
        last_(add_state("last", {kernel_ - 1, channels})) {}

  Var weight(Pass& pass) { return pass.parameter(weight_); }

  // When decoding: the inputs of before and x, [B, K-1+T, C].
  Var remembered(Pass& pass, const Var& x) {
    Tensor& last = pass.slot(last_);
    const Var parts[] = {last, x};
    const Var all = ops::concat(parts, 1);
    last.copy_from(ops::slice(all, 1, x.dim(1), all.dim(1)).value());
    return all;
  }

  double flops(std::int64_t) const override { return static_cast<double>(channels_ * (2 * kernel_ + 5)); }

 private:
  std::int64_t channels_, kernel_;
  double bound_;       // of the first values, spec §7.2
  Parameter& weight_;  // [C, K]
  int last_;           // slot [K-1, C]: the last inputs
};

class ShortConv : public Stage {
 public:
  ShortConv(Module& parent, const std::string& name, const ModelConfig& c)
      : Stage(name),
        q_(parent, "q_" + name, c, c.num_attention_heads * c.head_dim()),
        k_(parent, "k_" + name, c, c.key_value_heads() * c.head_dim()),
        v_(parent, "v_" + name, c, c.key_value_heads() * c.head_dim()) {}

  Qkv forward(Pass& pass, const Qkv& x) override {
    const Scope scope = enter(pass);
    ops::ConvStream streams[] = {{x.q, q_.weight(pass)}, {x.k, k_.weight(pass)}, {x.v, v_.weight(pass)}};
    if (pass.decoding()) {
      streams[0].x = q_.remembered(pass, x.q);
      streams[1].x = k_.remembered(pass, x.k);
      streams[2].x = v_.remembered(pass, x.v);
    }
    std::vector<Var> y = ops::short_convs(streams);
    if (pass.decoding())
      for (Var& all : y) all = ops::slice(all, 1, all.dim(1) - x.q.dim(1), all.dim(1));
    return {y[0], y[1], y[2]};
  }

 private:
  Taps q_, k_, v_;
};

}  // namespace

extern constinit const StageEntry short_conv_stage{"conv", "conv_kernel",
                                                   [](const ModelConfig& c) { return c.conv_kernel > 0; },
                                                   make<Stage, ShortConv, const ModelConfig&>};

}  // namespace blalm
