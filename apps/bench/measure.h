// Times of repeated runs.
#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <utility>

namespace blalm::bench {

template <class F>
double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  std::forward<F>(f)();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Spread {
  double median = 0, min = 0, max = 0;
};
// Of one sample or more. The median is one of them: of an even number, the lower of the two in the middle.
Spread spread(std::span<const double> samples);
// Which sample that is.
std::size_t median_index(std::span<const double> samples);

}  // namespace blalm::bench
