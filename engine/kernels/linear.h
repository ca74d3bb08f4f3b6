// Linear layers (spec §4): several that read the same x are one call, so that x is read, and its gradient written,
// once.
//   y_j = x W_jᵀ + b_j        dx = Σ_j dy_j W_j        dW_j = dy_jᵀ x        db_j = Σ_rows dy_j
#pragma once

#include <vector>

#include "blalm/core/tensor.h"
#include "blalm/kernels/kernel.h"
#include "blalm/kernels/tiles/unit.h"

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

// The last line of each list: product by product, through kernels::matmul, whose own list chooses.
namespace product {
void linear(const LinearArgs&);
void linear_data(const LinearDataArgs&);
void linear_weight(const LinearWeightArgs&);
}  // namespace product

namespace tiles {
Reason declines_linear(const LinearArgs&);
Reason declines_linear_data(const LinearDataArgs&);
Reason declines_linear_weight(const LinearWeightArgs&);
void linear(const LinearArgs&, Unit);
void linear_data(const LinearDataArgs&, Unit);
void linear_weight(const LinearWeightArgs&, Unit);
}  // namespace tiles

}  // namespace blalm::kernels
