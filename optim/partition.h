// Many tensors, large and small, as work for one parallel region: their elements, laid end to end, are cut into shares
// of a fixed size. Sums that are kept a stretch and added in order have the same bits on 1 and on N threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/parallel.h"

namespace blalm {

class Partition {
 public:
  // Elements [begin, end) of tensor number `tensor`.
  struct Stretch {
    std::size_t tensor = 0;
    std::int64_t begin = 0, end = 0;
  };

  Partition() = default;
  explicit Partition(std::span<const std::int64_t> sizes);

  // In order of tensors and of elements; together they cover everything once.
  const std::vector<Stretch>& stretches() const { return stretches_; }

  // Calls body(index, stretch) for every stretch, in parallel.
  template <class Body>
  void for_each(double cost_per_element, Body&& body) const {
    if (stretches_.empty()) return;
    const auto shares = static_cast<std::int64_t>(starts_.size()) - 1;
    parallel_for(shares, cost_per_element * static_cast<double>(elements_) / static_cast<double>(shares),
                 [&](std::int64_t first, std::int64_t last) {
                   const std::size_t end = starts_[static_cast<std::size_t>(last)];
                   for (std::size_t i = starts_[static_cast<std::size_t>(first)]; i < end; ++i) body(i, stretches_[i]);
                 });
  }

 private:
  std::vector<Stretch> stretches_;
  std::vector<std::size_t> starts_;  // share s is stretches [starts_[s], starts_[s + 1])
  std::int64_t elements_ = 0;
};

// Σ x², in double whatever T, in an order that depends on n only.
double sum_of_squares(const float* x, std::int64_t n);
double sum_of_squares(const double* x, std::int64_t n);
double sum_of_squares(const BFloat16* x, std::int64_t n);

}  // namespace blalm
