#include "engine/kernels/softmax.h"

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels::reference {

void softmax(const SoftmaxArgs& a) {
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* x = a.x.data<T>();
    T* y = a.y.mutable_data<T>();
    const std::int64_t rows = a.x.dim(0), n = a.x.dim(1);
    if (n == 0) return;
    parallel_for(rows, 8.0 * static_cast<double>(n), [=](std::int64_t begin, std::int64_t end) {
      const Tensor scratch = Tensor::empty({n}, dtype_of<C>);
      C* e = scratch.mutable_data<C>();
      for (std::int64_t row = begin; row < end; ++row) {
        const T* in = x + row * n;
        T* out = y + row * n;
        const C top = vec::largest<C>(n, [in](std::int64_t j) { return static_cast<C>(in[j]); });
        for (std::int64_t j = 0; j < n; ++j) e[j] = vec::exp<C>(static_cast<C>(in[j]) - top);
        const C inverse = C(1) / vec::sum<C>(n, [e](std::int64_t j) { return e[j]; });
        for (std::int64_t j = 0; j < n; ++j) out[j] = static_cast<T>(e[j] * inverse);
      }
    });
  });
}

void softmax_backward(const SoftmaxBackwardArgs& a) {
  visit_floating(a.dx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *y = a.y.data<T>(), *dy = a.dy.data<T>();
    T* dx = a.dx.mutable_data<T>();
    const std::int64_t rows = a.y.dim(0), n = a.y.dim(1);
    parallel_for(rows, 3.0 * static_cast<double>(n), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const T *p = y + row * n, *g = dy + row * n;
        T* out = dx + row * n;
        const C dot = vec::sum<C>(n, [=](std::int64_t j) { return static_cast<C>(p[j]) * static_cast<C>(g[j]); });
        for (std::int64_t j = 0; j < n; ++j)
          out[j] = static_cast<T>(static_cast<C>(p[j]) * (static_cast<C>(g[j]) - dot));
      }
    });
  });
}

}  // namespace blalm::kernels::reference
