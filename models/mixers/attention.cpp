// Llama-style self-attention (spec §4.5), the mixer of the Transformer baseline.
#include <fmt/format.h>

#include "engine/core/error.h"
#include "models/config.h"
#include "models/config_lists.h"
#include "models/key_value_cache.h"
#include "models/linear.h"
#include "models/weight_init.h"

namespace blalm {
namespace {

class AttentionMixer : public Mixer {
 public:
  AttentionMixer(Module& parent, std::string name, const ModelConfig& c)
      : Mixer(parent, std::move(name)),
        heads_(c.num_attention_heads),
        groups_(c.key_value_heads()),
        head_dim_(c.head_dim()),
        theta_(c.rope_theta),
        q_proj_(*this, "q_proj", c.hidden_size, heads_ * head_dim_, inner_init(c)),
        k_proj_(*this, "k_proj", c.hidden_size, groups_ * head_dim_, inner_init(c)),
        v_proj_(*this, "v_proj", c.hidden_size, groups_ * head_dim_, inner_init(c)),
        o_proj_(*this, "o_proj", heads_ * head_dim_, c.hidden_size, residual_init(c, c.hidden_size)),
        cache_(*this, groups_, head_dim_, head_dim_) {}

  Var forward(Pass& pass, const Var& x) override {
    const Scope scope = enter(pass);
    const std::int64_t B = x.dim(0), T = x.dim(1), H = heads_, G = groups_, D = head_dim_, start = pass.position();

    const auto [xq, xk, xv] = project(pass, x, q_proj_, k_proj_, v_proj_);
    const Var q = ops::rope(ops::reshape(xq, {B, T, H, D}), theta_, start);            // [B, T, H, D]
    const Var k = ops::rope(ops::reshape(xk, {B, T, G, D}), theta_, start);            // [B, T, G, D]
    const Var v = ops::reshape(xv, {B, T, G, D});                                      // [B, T, G, D]
    const Var h = cache_.attend(pass, q, k, v);                                        // [B, T, H, D]
    return o_proj_.forward_to(pass.residual(), pass, ops::reshape(h, {B, T, H * D}));  // [B, T, d]
  }

  double flops(std::int64_t length) const override {
    const auto D = static_cast<double>(head_dim_), H = static_cast<double>(heads_), G = static_cast<double>(groups_);
    return 4 * H * D * cache_.mean_visible(length) + 3 * (H + G) * D;  // of attention, and of rotating q and k
  }

 private:
  std::int64_t heads_, groups_, head_dim_;
  double theta_;
  Linear q_proj_, k_proj_, v_proj_, o_proj_;
  KeyValueCache cache_;
};

void check(const ModelConfig& c) {
  refuse_features(c);
  if (c.head_dim() % 2 != 0)
    throw ConfigError(
        expected_got("config", "an even head dimension with mixer attention, which rotates pairs of features",
                     fmt::format("{} ({} / {} heads)", c.head_dim(), c.hidden_size, c.num_attention_heads)));
}

}  // namespace

extern constinit const MixerEntry attention_mixer{"attention", "self_attn",
                                                  make<Mixer, AttentionMixer, const ModelConfig&>, check};

}  // namespace blalm
