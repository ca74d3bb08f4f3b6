// For operations that join two branches with a learned weight (spec §10; formulas in modulation.cpp).
#pragma once

#include "engine/ops/ops.h"

namespace blalm::ops {

// ShapeError unless `window` has this shape and the dtype of `linear`, and alpha divides its channels.
void check_modulation(std::string_view op, const Var& linear, const Shape& shape, const Var& window, const Var& alpha,
                      Modulation kind);
// ρ of each of `channels`, in `dtype`, which is that of alpha; 1 where the weight is fixed.
Tensor modulation_weights(Modulation kind, const Tensor& alpha, std::int64_t channels, DType dtype);
// dalpha from dρ [channels].
Tensor alpha_gradient(Modulation kind, const Tensor& alpha, const Tensor& drho);

}  // namespace blalm::ops
