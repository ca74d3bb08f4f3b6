// An input or forget gate of the mLSTM before exp or sigmoid (spec §5.1): cap(W x + b), a number a head.
#pragma once

#include "models/linear.h"

namespace blalm {

class MlstmGate : public Linear {
 public:
  // W [heads, in], b [heads].
  MlstmGate(Module& parent, std::string name, std::int64_t in, std::int64_t heads, const Init& weight_init,
            const Init& bias_init, double cap);
  // From the projection W x in f32 or wider, as forward_to(pass.compute(), …) gives it.
  Var capped(Pass& pass, const Var& projected);  // [B, T, heads]
  double flops(std::int64_t length) const override { return Linear::flops(length) + 5.0 * static_cast<double>(heads_); }

  Parameter& bias;

 private:
  std::int64_t heads_;
  double cap_;
};

}  // namespace blalm
