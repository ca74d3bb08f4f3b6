#include "engine/kernels/matmul.h"

#include <vector>

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"

namespace blalm::kernels::reference {
namespace {

template <class T, class Out>
void run(const MatmulArgs& args) {
  using C = Compute<T>;
  const T* a = args.a.tensor.data<T>() + args.a.offset;
  const T* b = args.b.tensor.data<T>() + args.b.offset;
  Out* c = args.c.tensor.mutable_data<Out>() + args.c.offset;
  const std::int64_t m = args.m(), n = args.n(), k = args.k();
  // Element (i, j) of an operand stands at i * row step + j * column step.
  const std::int64_t ai = args.a.transposed ? 1 : args.a.row_stride, aj = args.a.transposed ? args.a.row_stride : 1;
  const std::int64_t bi = args.b.transposed ? 1 : args.b.row_stride, bj = args.b.transposed ? args.b.row_stride : 1;
  const C alpha = static_cast<C>(args.alpha);
  parallel_for(args.outer * args.inner * m, static_cast<double>(n * k), [&](std::int64_t begin, std::int64_t end) {
    std::vector<C> sum(static_cast<std::size_t>(n));
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t i = row % m, inner = row / m % args.inner, outer = row / m / args.inner;
      const T* pa = a + outer * args.a.outer_stride + inner * args.a.inner_stride + i * ai;
      const T* pb = b + outer * args.b.outer_stride + inner * args.b.inner_stride;
      Out* pc = c + outer * args.c.outer_stride + inner * args.c.inner_stride + i * args.c.row_stride;
      std::fill(sum.begin(), sum.end(), C(0));
      for (std::int64_t l = 0; l < k; ++l) {
        const C x = static_cast<C>(pa[l * aj]);
        for (std::int64_t j = 0; j < n; ++j)
          sum[static_cast<std::size_t>(j)] += x * static_cast<C>(pb[l * bi + j * bj]);
      }
      for (std::int64_t j = 0; j < n; ++j) {
        const C value = alpha * sum[static_cast<std::size_t>(j)];
        pc[j] = static_cast<Out>(args.add ? static_cast<Compute<Out>>(pc[j]) + value : value);
      }
    }
  });
}

}  // namespace

void matmul(const MatmulArgs& args) {
  visit_floating(args.a.tensor.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (args.c.tensor.dtype() == args.a.tensor.dtype())
      run<T, T>(args);
    else
      run<T, Compute<T>>(args);
  });
}

}  // namespace blalm::kernels::reference
