// Sliding-window attention beside the mLSTM, with memory and modulation (spec §8, §9, §10):
//   h_total = h + ρ(α) swa(rope(q), rope(k), v)
#include "models/config.h"
#include "models/config_lists.h"
#include "models/key_value_cache.h"

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

class WindowAttention : public Branch {
 public:
  // Alpha is a parameter of the parent, "swa_alpha".
  WindowAttention(Module& parent, std::string name, const ModelConfig& c)
      : Branch(parent, std::move(name)),
        width_(c.hidden_size),
        key_width_(c.key_value_heads() * c.head_dim()),
        theta_(c.rope_theta),
        after_stages_(c.swa_after_conv),
        modulation_(c.swa_modulation),
        cache_(*this, c.key_value_heads(), c.head_dim(), c.head_dim(), c.swa_window, c.swa_memory) {
    if (modulation_ != ops::Modulation::fixed)
      alpha_ = &parent.add_parameter("swa_alpha", {alphas(c)}, Role::scalar, init::constant(first_alpha(modulation_)));
  }

  ops::SideBranch forward(Pass& pass, const Qkv& heads, const Qkv& projected) override {
    const Scope scope = enter(pass);
    const auto read = [&](Var Qkv::*s) {
      return after_stages_ ? heads.*s : ops::reshape(projected.*s, (heads.*s).shape());
    };
    const Var q = read(&Qkv::q), k = read(&Qkv::k), v = read(&Qkv::v);
    const std::int64_t start = pass.position();
    const Var seen = cache_.attend(pass, ops::rope(q, theta_, start), ops::rope(k, theta_, start), v);  // [B, T, H, E]
    return {ops::reshape(seen, {q.dim(0), q.dim(1), width_}), alpha_ != nullptr ? pass.parameter(*alpha_) : Var(),
            modulation_};
  }

  double flops(std::int64_t length) const override {
    // Of attention, of rotating queries and keys, and of joining.
    return static_cast<double>(width_) * (4 * cache_.mean_visible(length) + 3 + ops::modulation_flops(modulation_)) +
           3 * static_cast<double>(key_width_);
  }

 private:
  std::int64_t width_, key_width_;
  double theta_;
  bool after_stages_;
  ops::Modulation modulation_;
  KeyValueCache cache_;
  Parameter* alpha_ = nullptr;  // [1], [H] or [H·E]
};

}  // namespace

extern constinit const BranchEntry window_attention_branch{"swa", "swa_window",
                                                           [](const ModelConfig& c) { return c.swa_window > 0; },
                                                           make<Branch, WindowAttention, const ModelConfig&>};

}  // namespace blalm
