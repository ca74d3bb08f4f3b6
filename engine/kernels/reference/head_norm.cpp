#include <cmath>

#include "blalm/core/parallel.h"
#include "blalm/kernels/norm.h"
#include "blalm/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

// Positions of one partial sum of a weight gradient: fixed, so that the bits do not depend on the number of threads.
constexpr std::int64_t kBlock = 64;

}  // namespace

void head_norm(const HeadNormArgs& a) {
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* x = a.x.data<T>();
    const C* w = a.w.data<C>();
    T* y = a.y.mutable_data<T>();
    C* stats = a.stats.mutable_data<C>();
    const std::int64_t heads = a.x.dim(1), n = a.x.dim(2);
    const C inverse = C(1) / static_cast<C>(static_cast<double>(n)), eps = static_cast<C>(a.eps);
    parallel_for(a.x.dim(0), 6.0 * static_cast<double>(heads * n), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin * heads; i < end * heads; ++i) {
        const T* in = x + i * n;
        const C* weight = w + i % heads * n;
        T* out = y + i * n;
        const C mean = inverse * vec::sum<C>(n, [=](std::int64_t j) { return static_cast<C>(in[j]); });
        const C variance = inverse * vec::sum<C>(n, [=](std::int64_t j) {
                             const C d = static_cast<C>(in[j]) - mean;
                             return d * d;
                           });
        const C r = C(1) / std::sqrt(variance + eps);
        for (std::int64_t j = 0; j < n; ++j) out[j] = static_cast<T>(weight[j] * ((static_cast<C>(in[j]) - mean) * r));
        stats[2 * i] = mean;
        stats[2 * i + 1] = r;
      }
    });
  });
}

void head_norm_backward(const HeadNormBackwardArgs& a) {
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *x = a.x.data<T>(), *dy = a.dy.data<T>();
    const C *w = a.w.data<C>(), *stats = a.stats.data<C>();
    T* dx = a.dx.defined() ? a.dx.mutable_data<T>() : nullptr;
    const std::int64_t positions = a.x.dim(0), heads = a.x.dim(1), n = a.x.dim(2), size = heads * n;
    const std::int64_t blocks = (positions + kBlock - 1) / kBlock;
    const C inverse = C(1) / static_cast<C>(static_cast<double>(n));
    Tensor partial;
    C* sums = nullptr;
    if (a.dw.defined()) {
      partial = Tensor::zeros({blocks, size}, dtype_of<C>);
      sums = partial.mutable_data<C>();
    }
    parallel_blocks(positions, kBlock, 10.0 * static_cast<double>(size),
                    [=](std::int64_t block, std::int64_t begin, std::int64_t end) {
                      for (std::int64_t i = begin * heads; i < end * heads; ++i) {
                        const T *in = x + i * n, *g = dy + i * n;
                        const C* weight = w + i % heads * n;
                        const C mean = stats[2 * i], r = stats[2 * i + 1];
                        const auto u = [=](std::int64_t j) { return weight[j] * static_cast<C>(g[j]); };
                        const auto normed = [=](std::int64_t j) { return (static_cast<C>(in[j]) - mean) * r; };
                        if (dx != nullptr) {
                          const C mean_u = inverse * vec::sum<C>(n, u);
                          const C mean_ux = inverse * vec::sum<C>(n, [=](std::int64_t j) { return u(j) * normed(j); });
                          for (std::int64_t j = 0; j < n; ++j)
                            dx[i * n + j] = static_cast<T>(r * (u(j) - mean_u - normed(j) * mean_ux));
                        }
                        if (sums != nullptr) {
                          C* sum = sums + block * size + i % heads * n;
                          for (std::int64_t j = 0; j < n; ++j) sum[j] += static_cast<C>(g[j]) * normed(j);
                        }
                      }
                    });
    if (sums == nullptr) return;
    C* dw = a.dw.mutable_data<C>();
    for (std::int64_t j = 0; j < size; ++j) {
      C sum = a.add_dw ? dw[j] : C(0);
      for (std::int64_t block = 0; block < blocks; ++block) sum += sums[block * size + j];
      dw[j] = sum;
    }
  });
}

}  // namespace blalm::kernels::reference
