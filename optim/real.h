// The dtypes that parameters are trained in: f32, and f64 in tests.
#pragma once

#include <utility>

#include "engine/core/dtype.h"

namespace blalm {

inline bool is_real_parameter_dtype(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

// Calls f(TypeTag<float>{}) or f(TypeTag<double>{}).
template <class F>
decltype(auto) visit_real(DType dtype, F&& f) {
  if (dtype == DType::f64) return std::forward<F>(f)(TypeTag<double>{});
  return std::forward<F>(f)(TypeTag<float>{});
}

}  // namespace blalm
