#include "blalm/models/features/window_attention.h"

#include <algorithm>

namespace blalm {
namespace {

std::int64_t alphas(const ModelConfig& c) {
  switch (c.modulation_scope) {
    case ModulationScope::head: return c.num_attention_heads;
    case ModulationScope::channel: return c.hidden_size;
    default: return 1;
  }
}

// 0, except that a clamp does not move from its bounds: halfway, which is where a sigmoid begins too (spec §10.3).
double first_alpha(ops::Modulation kind) { return kind == ops::Modulation::clamp ? 0.5 : 0; }

}  // namespace

WindowAttention::WindowAttention(Module& parent, std::string name, const ModelConfig& c)
    : Module(parent, std::move(name)),
      window_(c.swa_window),
      memory_(c.swa_memory),
      width_(c.hidden_size),
      theta_(c.rope_theta),
      modulation_(c.swa_modulation) {
  if (window_ == 0) return;
  cache_.emplace(*this, c.key_value_heads(), c.head_dim(), c.head_dim(), window_, memory_);
  if (modulation_ != ops::Modulation::fixed)
    alpha_ = &parent.add_parameter("swa_alpha", {alphas(c)}, Role::scalar, init::constant(first_alpha(modulation_)));
}

Var WindowAttention::add_to(Pass& pass, const Var& h, const Var& q, const Var& k, const Var& v) {
  if (window_ == 0) return h;
  const Scope scope = enter(pass);
  const std::int64_t start = pass.position();
  const Var seen = cache_->attend(pass, ops::rope(q, theta_, start), ops::rope(k, theta_, start), v);  // [B, T, H, E]
  const Var alpha = alpha_ != nullptr ? pass.parameter(*alpha_) : Var();
  return ops::modulate(h, ops::reshape(seen, h.shape()), alpha, modulation_);
}

double WindowAttention::flops(std::int64_t length) const {
  if (window_ == 0) return 0;
  const double visible = static_cast<double>(std::min(window_ + memory_, (length + 1) / 2));
  return 4.0 * static_cast<double>(width_) * visible;
}

}  // namespace blalm
