#include "engine/kernels/reduce.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "engine/core/parallel.h"
#include "engine/kernels/partial_sums.h"
#include "engine/kernels/reference/backend.h"

namespace blalm::kernels::reference {

namespace {

constexpr std::int64_t kColumns = 64;  // that are reduced together, so that rows are read as they lie
constexpr std::int64_t kRows = 256;    // of one partial sum over many rows

// sum[j] += Σ over the rows of columns [0, count), whose rows are `stride` apart.
template <class T, class A>
void add_rows(const T* columns, std::int64_t rows, std::int64_t stride, std::int64_t count, A* sum) {
  for (std::int64_t k = 0; k < rows; ++k)
    for (std::int64_t j = 0; j < count; ++j) sum[j] += static_cast<A>(static_cast<Compute<T>>(columns[k * stride + j]));
}

// Few columns and many rows, as of a bias gradient: threads share the rows.
template <class T, class Y>
void sum_by_rows(const T* x, Y* y, std::int64_t rows, std::int64_t width) {
  const PartialSums<Wide<Compute<T>>> sums((rows + kRows - 1) / kRows, width);
  parallel_blocks(
      rows, kRows, static_cast<double>(width), [=](std::int64_t block, std::int64_t begin, std::int64_t end) {
        for (std::int64_t j = 0; j < width; j += kColumns)
          add_rows(x + begin * width + j, end - begin, width, std::min(kColumns, width - j), sums.of(block) + j);
      });
  sums.write(y);
}

template <class T, class Y>
void reduce_to(const ReduceArgs& a) {
  using C = Compute<T>;
  const T* x = a.x.data<T>();
  Y* y = a.y.mutable_data<Y>();
  const std::int64_t n = a.n, inner = a.inner;
  if (a.f == Reduce::sum && a.outer == 1 && n > kRows) return sum_by_rows(x, y, n, inner);
  parallel_for(a.outer * inner, static_cast<double>(n), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin, count = 0; i < end; i += count) {
      count = std::min({end - i, inner - i % inner, kColumns});
      const T* columns = x + i / inner * n * inner + i % inner;
      if (a.f == Reduce::sum) {
        Wide<C> sum[kColumns] = {};
        add_rows(columns, n, inner, count, sum);
        for (std::int64_t j = 0; j < count; ++j) y[i + j] = static_cast<Y>(static_cast<C>(sum[j]));
      } else {
        C best[kColumns];
        std::fill_n(best, count, C(-std::numeric_limits<decltype(real_part(T()))>::infinity()));
        for (std::int64_t k = 0; k < n; ++k)
          for (std::int64_t j = 0; j < count; ++j)
            if (const C value = static_cast<C>(columns[k * inner + j]); real_part(value) > real_part(best[j]))
              best[j] = value;
        for (std::int64_t j = 0; j < count; ++j) y[i + j] = static_cast<Y>(best[j]);
      }
    }
  });
}

}  // namespace

void reduce(const ReduceArgs& a) {
  assert(a.x.numel() == a.outer * a.n * a.inner && a.y.numel() == a.outer * a.inner);
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (a.y.dtype() == a.x.dtype())
      reduce_to<T, T>(a);
    else
      reduce_to<T, Compute<T>>(a);
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
