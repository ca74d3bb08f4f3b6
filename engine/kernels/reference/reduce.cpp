#include "blalm/kernels/reduce.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "blalm/core/parallel.h"

namespace blalm::kernels::reference {

namespace {
constexpr std::int64_t kColumns = 64;  // that are reduced together, so that rows are read as they lie
}

void reduce(const ReduceArgs& a) {
  assert(a.x.numel() == a.outer * a.n * a.inner && a.y.numel() == a.outer * a.inner);
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* x = a.x.data<T>();
    T* y = a.y.mutable_data<T>();
    const std::int64_t n = a.n, inner = a.inner;
    parallel_for(a.outer * inner, static_cast<double>(n), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin, count = 0; i < end; i += count) {
        count = std::min({end - i, inner - i % inner, kColumns});
        const T* columns = x + i / inner * n * inner + i % inner;
        if (a.f == Reduce::sum) {
          Wide<C> sum[kColumns] = {};
          for (std::int64_t k = 0; k < n; ++k)
            for (std::int64_t j = 0; j < count; ++j) sum[j] += static_cast<Wide<C>>(columns[k * inner + j]);
          for (std::int64_t j = 0; j < count; ++j) y[i + j] = static_cast<T>(static_cast<C>(sum[j]));
        } else {
          C best[kColumns];
          std::fill_n(best, count, C(-std::numeric_limits<decltype(real_part(T()))>::infinity()));
          for (std::int64_t k = 0; k < n; ++k)
            for (std::int64_t j = 0; j < count; ++j)
              if (const C value = static_cast<C>(columns[k * inner + j]); real_part(value) > real_part(best[j]))
                best[j] = value;
          for (std::int64_t j = 0; j < count; ++j) y[i + j] = static_cast<T>(best[j]);
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
