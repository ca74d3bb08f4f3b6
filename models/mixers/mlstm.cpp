#include "blalm/models/mixers/mlstm.h"

#include <algorithm>
#include <utility>

#include "blalm/models/config_lists.h"
#include "blalm/models/weight_init.h"

namespace blalm {
namespace {

// First values of the gates (spec §5.8).
struct GateValues {
  Init weight = init::constant(0);
  Init input_bias = init::constant(-10);
  Init forget_bias = init::linspace(3, 6);
};

GateValues gate_values(GateInit kind) {
  GateValues values;
  if (kind == GateInit::xlstm_paper) values.input_bias = init::normal(0.1);
  if (kind == GateInit::hf_llama) values = {init::normal(0.02), init::constant(0), init::constant(0)};
  return values;
}

}  // namespace

MlstmMixer::MlstmMixer(Module& parent, std::string name, const ModelConfig& c)
    : Mixer(parent, std::move(name)),
      heads_(c.num_attention_heads),
      groups_(c.key_value_heads()),
      head_dim_(c.head_dim()),
      gate_cap_(c.gate_soft_cap),
      swa_after_conv_(c.swa_after_conv),
      q_proj_(*this, "q_proj", c.hidden_size, heads_ * head_dim_, inner_init(c)),
      k_proj_(*this, "k_proj", c.hidden_size, groups_ * head_dim_, inner_init(c)),
      v_proj_(*this, "v_proj", c.hidden_size, groups_ * head_dim_, inner_init(c)),
      ogate_proj_(*this, "ogate_proj", c.hidden_size, heads_ * head_dim_, inner_init(c)),
      out_proj_(*this, "out_proj", heads_ * head_dim_, c.hidden_size, residual_init(c, c.hidden_size)),
      igate_(*this, "igate", c.hidden_size, heads_, gate_values(c.gate_init).weight, Role::gate,
             gate_values(c.gate_init).input_bias),
      fgate_(*this, "fgate", c.hidden_size, heads_, gate_values(c.gate_init).weight, Role::gate,
             gate_values(c.gate_init).forget_bias),
      head_norm_(*this, "head_norm", heads_, head_dim_, c.mlstm_norm),
      q_conv_(*this, "q_conv", heads_ * head_dim_, c.conv_kernel),
      k_conv_(*this, "k_conv", groups_ * head_dim_, c.conv_kernel),
      v_conv_(*this, "v_conv", groups_ * head_dim_, c.conv_kernel),
      q_map_(find_feature_map(c.feature_map).make(*this, "q_" + c.feature_map, c, heads_)),
      k_map_(find_feature_map(c.feature_map).make(*this, "k_" + c.feature_map, c, groups_)),
      swa_(*this, "swa", c),
      C_(add_state("C", {heads_, q_map_->features(), head_dim_}, true)),
      n_(add_state("n", {heads_, q_map_->features()}, true)),
      m_(add_state("m", {heads_}, true)) {
  options_ = {.scale = q_map_->scale(), .eps = c.mlstm_eps, .chunk = c.chunk_size};
}

void MlstmMixer::check(const ModelConfig&) {}  // has a use for all of them

Var MlstmMixer::forward(Pass& pass, const Var& x) {
  const Scope scope = enter(pass);
  const std::int64_t batch = x.dim(0), length = x.dim(1);
  const auto by_head = [&](const Var& z, std::int64_t heads) {
    return ops::reshape(z, {batch, length, heads, head_dim_});
  };

  const Var q0 = q_proj_.forward(pass, x), k0 = k_proj_.forward(pass, x), v0 = v_proj_.forward(pass, x);
  const Var q = by_head(q_conv_.forward(pass, q0), heads_);                          // [B, T, H, D]
  const Var k = by_head(k_conv_.forward(pass, k0), groups_);                         // [B, T, G, D]
  const Var v = by_head(v_conv_.forward(pass, v0), groups_);                         // [B, T, G, E]
  const Var i = ops::soft_cap(igate_.forward_to(pass.wide(), pass, x), gate_cap_);   // [B, T, H]
  const Var f = ops::soft_cap(fgate_.forward_to(pass.wide(), pass, x), gate_cap_);   // [B, T, H]
  Var h = recur(pass, q_map_->forward(pass, q), k_map_->forward(pass, k), v, i, f);  // [B, T, H, E]
  h = head_norm_.forward(pass, h);                                                   // [B, T, H·E]
  h = swa_after_conv_ ? swa_.add_to(pass, h, q, k, v)
                      : swa_.add_to(pass, h, by_head(q0, heads_), by_head(k0, groups_), by_head(v0, groups_));
  h = ops::sigmoid_gate(h, ogate_proj_.forward(pass, x));  // [B, T, H·E]
  return out_proj_.forward_to(pass.residual(), pass, h);   // [B, T, d]
}

Var MlstmMixer::recur(Pass& pass, const Var& q, const Var& k, const Var& v, const Var& i, const Var& f) {
  ops::MlstmOptions options = options_;
  options.form = pass.options.mlstm_form;
  if (!pass.decoding()) return ops::mlstm(q, k, v, i, f, options);
  // The parallel form carries no state, and a single position is the recurrence whatever was asked for.
  if (options.form != ops::MlstmForm::recurrent) options.form = ops::MlstmForm::automatic;
  ops::MlstmState state{std::move(pass.slot(C_)), std::move(pass.slot(n_)), std::move(pass.slot(m_))};
  const Tensor h = ops::mlstm_continue(q.value(), k.value(), v.value(), i.value(), f.value(), state, options);
  pass.slot(C_) = std::move(state.C);
  pass.slot(n_) = std::move(state.n);
  pass.slot(m_) = std::move(state.m);
  return h;
}

double MlstmMixer::flops(std::int64_t length) const {
  const double D = static_cast<double>(q_map_->features()), E = static_cast<double>(head_dim_);
  const double pairs = static_cast<double>(std::min(length, options_.chunk));
  return static_cast<double>(heads_) * (2 * pairs * (D + E) + 4 * D * E);
}

}  // namespace blalm
