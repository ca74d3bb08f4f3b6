// Sums over rows that threads share out, with the same bits on any number of threads: the rows are cut into parts of a
// fixed size, each part has a sum of its own, and the parts are added in their order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/core/parallel.h"
#include "engine/core/tensor.h"

namespace blalm::kernels {

// to (+)= Σ_parts, each of `size` numbers: parts [count, size], `to` [size].
template <class A, class T>
void add_parts(const A* parts, std::int64_t count, std::int64_t size, T* to, bool add) {
  constexpr std::int64_t kColumns = 64;  // summed side by side
  const double cost = static_cast<double>(count * kColumns);
  parallel_for((size + kColumns - 1) / kColumns, cost, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin * kColumns; first < std::min(end * kColumns, size); first += kColumns) {
      const std::int64_t n = std::min(kColumns, size - first);
      A sum[kColumns] = {};
      for (std::int64_t j = 0; add && j < n; ++j) sum[j] = static_cast<A>(static_cast<Compute<T>>(to[first + j]));
      for (std::int64_t part = 0; part < count; ++part)
        for (std::int64_t j = 0; j < n; ++j) sum[j] += parts[part * size + first + j];
      for (std::int64_t j = 0; j < n; ++j) to[first + j] = static_cast<T>(static_cast<Compute<T>>(sum[j]));
    }
  });
}

// The parts, all zero at first; or of a sum that nobody wants.
template <class A>
class PartialSums {
 public:
  PartialSums() = default;
  PartialSums(std::int64_t parts, std::int64_t size)
      : count_(parts),
        size_(size),
        parts_(Tensor::zeros({parts, size}, dtype_of<A>)),
        data_(parts_.mutable_data<A>()) {}

  explicit operator bool() const { return data_ != nullptr; }
  // The sum of a part, [size]; null where nobody wants it.
  A* of(std::int64_t part) const { return data_ != nullptr ? data_ + part * size_ : nullptr; }
  // to (+)= the sum of all.
  template <class T>
  void write(T* to, bool add = false) const {
    add_parts(data_, count_, size_, to, add);
  }

 private:
  std::int64_t count_ = 0, size_ = 0;
  Tensor parts_;
  A* data_ = nullptr;
};

}  // namespace blalm::kernels
