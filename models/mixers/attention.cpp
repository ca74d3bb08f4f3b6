#include "blalm/models/mixers/attention.h"

#include <fmt/format.h>

#include "blalm/core/error.h"
#include "blalm/models/weight_init.h"

namespace blalm {

AttentionMixer::AttentionMixer(Module& parent, std::string name, const ModelConfig& c)
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

void AttentionMixer::check(const ModelConfig& c) {
  const auto refuse = [](std::string_view key, const std::string& value) {
    throw ConfigError(expected_got("config", fmt::format("mixer mlstm with {}", key),
                                   fmt::format("mixer attention, {} {}", key, value),
                                   "that feature belongs to the mLSTM mixer"));
  };
  if (c.conv_kernel > 0) refuse("conv_kernel", fmt::format("{}", c.conv_kernel));
  if (c.swa_window > 0) refuse("swa_window", fmt::format("{}", c.swa_window));
  if (c.feature_map != "none") refuse("feature_map", c.feature_map);
  if (c.head_dim() % 2 != 0)
    throw ConfigError(
        expected_got("config", "an even head dimension with mixer attention, which rotates pairs of features",
                     fmt::format("{} ({} / {} heads)", c.head_dim(), c.hidden_size, c.num_attention_heads)));
}

Var AttentionMixer::forward(Pass& pass, const Var& x) {
  const Scope scope = enter(pass);
  const std::int64_t batch = x.dim(0), length = x.dim(1), start = pass.position();
  const auto by_head = [&](const Var& z, std::int64_t heads) {
    return ops::reshape(z, {batch, length, heads, head_dim_});
  };

  const Var q = ops::rope(by_head(q_proj_.forward(pass, x), heads_), theta_, start);   // [B, T, H, D]
  const Var k = ops::rope(by_head(k_proj_.forward(pass, x), groups_), theta_, start);  // [B, T, G, D]
  const Var v = by_head(v_proj_.forward(pass, x), groups_);                            // [B, T, G, D]
  const Var h = ops::reshape(cache_.attend(pass, q, k, v), {batch, length, heads_ * head_dim_});
  return o_proj_.forward_to(pass.residual(), pass, h);  // [B, T, d]
}

double AttentionMixer::flops(std::int64_t length) const {
  return 4.0 * static_cast<double>(heads_ * head_dim_) * static_cast<double>(length + 1) / 2;
}

}  // namespace blalm
