// The mLSTM's gates before exp and sigmoid (spec §5.1): y = cap tanh((x + bias) / cap).
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// x, y: [N, H] of one dtype; bias: [H] of its compute dtype.
struct MlstmGateArgs {
  Tensor x, bias, y;
  double cap;
};
extern const Kernel<MlstmGateArgs> mlstm_gate;

// dx = dy ⊙ (1 - (y / cap)²) and dbias = Σ_rows of that, added to when add_dbias; either may be undefined: not wanted.
struct MlstmGateBackwardArgs {
  Tensor y, dy, dx, dbias;
  double cap;
  bool add_dbias;
};
extern const Kernel<MlstmGateBackwardArgs> mlstm_gate_backward;

}  // namespace blalm::kernels
