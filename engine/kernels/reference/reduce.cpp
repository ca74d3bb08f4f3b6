#include "blalm/kernels/reduce.h"

#include <cassert>
#include <limits>

#include "blalm/core/parallel.h"

namespace blalm::kernels::reference {

void reduce(const ReduceArgs& a) {
  assert(a.x.numel() == a.outer * a.n * a.inner && a.y.numel() == a.outer * a.inner);
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* x = a.x.data<T>();
    T* y = a.y.mutable_data<T>();
    const std::int64_t n = a.n, inner = a.inner;
    parallel_for(a.outer * inner, static_cast<double>(n), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* column = x + i / inner * n * inner + i % inner;
        if (a.f == Reduce::sum) {
          Wide<C> sum(0);
          for (std::int64_t k = 0; k < n; ++k) sum += static_cast<Wide<C>>(column[k * inner]);
          y[i] = static_cast<T>(static_cast<C>(sum));
        } else {
          C best(-std::numeric_limits<decltype(real_part(T()))>::infinity());
          for (std::int64_t k = 0; k < n; ++k)
            if (const C value = static_cast<C>(column[k * inner]); real_part(value) > real_part(best)) best = value;
          y[i] = static_cast<T>(best);
        }
      }
    });
  });
}

void cumsum(const CumsumArgs& a) {
  assert(a.x.numel() == a.outer * a.n * a.inner && a.y.shape() == a.x.shape());
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* x = a.x.data<T>();
    T* y = a.y.mutable_data<T>();
    const std::int64_t n = a.n, inner = a.inner;
    parallel_for(a.outer * inner, static_cast<double>(n), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t column = i / inner * n * inner + i % inner;
        C sum(0);
        for (std::int64_t k = 0; k < n; ++k) {
          const std::int64_t at = column + (a.reverse ? n - 1 - k : k) * inner;
          sum += static_cast<C>(x[at]);
          y[at] = static_cast<T>(sum);
        }
      }
    });
  });
}

}  // namespace blalm::kernels::reference
