#include "apps/bench/measure.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace blalm::bench {

std::size_t median_index(std::span<const double> samples) {
  std::vector<std::size_t> order(samples.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>((order.size() - 1) / 2);
  std::ranges::nth_element(order, middle, {}, [&](std::size_t i) { return samples[i]; });
  return *middle;
}

Spread spread(std::span<const double> samples) {
  const auto [min, max] = std::ranges::minmax(samples);
  return {samples[median_index(samples)], min, max};
}

}  // namespace blalm::bench
