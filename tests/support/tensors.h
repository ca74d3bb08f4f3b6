// How tests compare tensors.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "engine/core/tensor.h"

namespace blalm::test {

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.bytes())) == 0);
}

inline bool same_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::ranges::equal(a, b, [](const Tensor& x, const Tensor& y) { return same_bits(x, y); });
}

// ‖got − want‖ / ‖want‖, in double; infinite where shapes differ or a number is not finite.
inline double relative_error(const Tensor& got, const Tensor& want) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (got.shape() != want.shape()) return kInfinity;
  double difference = 0, norm = 0;
  for (std::int64_t i = 0; i < want.numel(); ++i) {
    const double w = want.at(i), e = got.at(i) - w;
    difference += e * e;
    norm += w * w;
  }
  if (!std::isfinite(difference)) return kInfinity;
  return difference == 0 ? 0 : std::sqrt(difference / std::max(norm, 1e-30));
}

}  // namespace blalm::test
