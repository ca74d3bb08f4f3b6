// Sliding-window attention beside the mLSTM, with memory and modulation (spec §8, §9, §10):
//   h_total = h + ρ(α) swa(rope(q), rope(k), v)
#pragma once

#include <optional>

#include "blalm/models/config.h"
#include "blalm/models/key_value_cache.h"

namespace blalm {

class WindowAttention : public Module {
 public:
  // A window of 0: the identity, without parameters. Alpha is a parameter of the parent, "swa_alpha".
  WindowAttention(Module& parent, std::string name, const ModelConfig& config);
  // h [B, T, H·E]; q [B, T, H, D], k, v [B, T, G, D], not rotated -> h_total [B, T, H·E].
  Var add_to(Pass& pass, const Var& h, const Var& q, const Var& k, const Var& v);
  double flops(std::int64_t length) const override;

 private:
  std::int64_t window_, memory_, width_;
  double theta_;
  ops::Modulation modulation_;
  std::optional<KeyValueCache> cache_;
  Parameter* alpha_ = nullptr;  // [1], [H] or [H·E]
};

}  // namespace blalm
