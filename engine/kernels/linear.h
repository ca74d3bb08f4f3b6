// Linear layers (spec §4): several that read the same x are one call, so that x is read, and its gradient written,
// once.
//   y_j = x W_jᵀ + b_j        dx = Σ_j dy_j W_j        dW_j = dy_jᵀ x        db_j = Σ_rows dy_j
#pragma once

#include <vector>

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// x [M, K]. Weights [N_j, K] of x's dtype or its compute dtype (the master weights of bf16 layers are f32), biases
// [N_j] of the compute dtype or undefined; y [M, N_j] of x's dtype or its compute dtype.
struct LinearArgs {
  struct Output {
    Tensor weight, bias, y;
  };
  Tensor x;
  std::vector<Output> outputs;
  bool gradient = false;  // dx will be asked for
};
extern const Kernel<LinearArgs> linear;

// dx [M, K] of the dtype of x, added to when `add`.
struct LinearDataArgs {
  struct Term {
    Tensor dy, weight;
  };
  std::vector<Term> terms;
  Tensor dx;
  bool add;
};
extern const Kernel<LinearDataArgs> linear_data;

// dw [N_j, K] of the dtype of the weight, added to when `add_dw`; undefined: not wanted.
struct LinearWeightArgs {
  struct Output {
    Tensor dy, dw;
    bool add_dw;
  };
  Tensor x;
  std::vector<Output> outputs;
};
extern const Kernel<LinearWeightArgs> linear_weight;

}  // namespace blalm::kernels
