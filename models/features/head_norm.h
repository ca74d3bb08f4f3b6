// Norm of each head of the mLSTM's output (spec §5.7): layer norm, RMSNorm or nothing.
#pragma once

#include "blalm/models/config.h"
#include "blalm/models/module.h"

namespace blalm {

class HeadNorm : public Module {
 public:
  HeadNorm(Module& parent, std::string name, std::int64_t heads, std::int64_t head_dim, HeadNormKind kind);
  Var forward(Pass& pass, const Var& h);                 // [B, T, H, E] -> [B, T, H·E]
  Var gated(Pass& pass, const Var& h, const Var& gate);  // σ(gate) ⊙ norm(h); gate and result [B, T, H·E]
  double flops(std::int64_t) const override;

 private:
  std::int64_t heads_, head_dim_;
  HeadNormKind kind_;
  Parameter* weight_ = nullptr;  // [H·E]
  Tensor ones_;                  // [E], of rms: the op's own weight has no heads
};

}  // namespace blalm
