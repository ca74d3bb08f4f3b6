// The way out of the mLSTM: norm of each head, side branches, output gate (spec §5.7).
#pragma once

#include "models/config.h"
#include "models/module.h"

namespace blalm {

class MlstmOutput : public Module {
 public:
  MlstmOutput(Module& parent, std::string name, std::int64_t heads, std::int64_t head_dim, ops::HeadNormKind kind);
  // σ(gate) ⊙ (norm(h), joined by the sides): h [B, T, H, E]; gate, sides and result [B, T, H·E].
  Var forward(Pass& pass, const Var& h, const Var& gate, std::span<const ops::SideBranch> sides);
  double flops(std::int64_t) const override;

 private:
  std::int64_t heads_, head_dim_;
  ops::HeadNormKind kind_;
  Parameter* weight_ = nullptr;  // [H·E]
};

}  // namespace blalm
