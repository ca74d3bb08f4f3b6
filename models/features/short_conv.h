// Short convolution (spec §7): each channel is filtered over the last K positions, then SiLU.
#pragma once

#include "blalm/models/module.h"

namespace blalm {

class ShortConv : public Module {
 public:
  // kernel 0: the identity, without parameters.
  ShortConv(Module& parent, std::string name, std::int64_t channels, std::int64_t kernel);
  Var forward(Pass& pass, const Var& x);  // [B, T, C] -> [B, T, C]
  double flops(std::int64_t) const override;

 private:
  std::int64_t channels_, kernel_;
  Parameter* weight_ = nullptr;  // [C, K]
  int last_ = -1;                // slot [K-1, C]: the last inputs
};

}  // namespace blalm
