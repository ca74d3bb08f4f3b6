#include <algorithm>
#include <cmath>

#include "blalm/core/parallel.h"
#include "blalm/kernels/norm.h"
#include "blalm/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

// Positions of one partial sum of a weight gradient: fixed, so that the bits do not depend on the number of threads.
constexpr std::int64_t kBlock = 64;

template <class C>
struct Statistics {
  C mean, r;  // r = (variance + eps)^-1/2
};

template <class C, class T>
Statistics<C> statistics(const T* x, std::int64_t n, double eps) {
  const C inverse = C(1) / static_cast<C>(static_cast<double>(n));
  const C mean = inverse * vec::sum<C>(n, [=](std::int64_t j) { return static_cast<C>(x[j]); });
  const C variance = inverse * vec::sum<C>(n, [=](std::int64_t j) {
                       const C d = static_cast<C>(x[j]) - mean;
                       return d * d;
                     });
  return {mean, C(1) / std::sqrt(variance + static_cast<C>(eps))};
}

}  // namespace

void head_norm(const HeadNormArgs& a) {
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* x = a.x.data<T>();
    const T* gate = a.gate.defined() ? a.gate.data<T>() : nullptr;
    const C* w = a.w.data<C>();
    T* y = a.y.mutable_data<T>();
    C* stats = a.stats.mutable_data<C>();
    const std::int64_t heads = a.x.dim(1), n = a.x.dim(2);
    parallel_for(a.x.dim(0), (gate != nullptr ? 12.0 : 6.0) * static_cast<double>(heads * n),
                 [=, eps = a.eps](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin * heads; i < end * heads; ++i) {
                     const T* in = x + i * n;
                     const C* weight = w + i % heads * n;
                     T* out = y + i * n;
                     const auto stat = statistics<C>(in, n, eps);
                     const auto normed = [=, mean = stat.mean, r = stat.r](auto j) {
                       return vec::at(weight, j) * ((vec::at(in, j) - mean) * r);
                     };
                     if (gate == nullptr)
                       vec::write(out, n, normed);
                     else
                       vec::write(out, n,
                                  [=, g = gate + i * n](auto j) { return vec::logistic(vec::at(g, j)) * normed(j); });
                     stats[2 * i] = stat.mean;
                     stats[2 * i + 1] = stat.r;
                   }
                 });
  });
}

void head_norm_backward(const HeadNormBackwardArgs& a) {
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *x = a.x.data<T>(), *dy = a.dy.data<T>();
    const T* gate = a.gate.defined() ? a.gate.data<T>() : nullptr;
    const C *w = a.w.data<C>(), *stats = a.stats.data<C>();
    T* dx = a.dx.defined() ? a.dx.mutable_data<T>() : nullptr;
    T* dgate = a.dgate.defined() ? a.dgate.mutable_data<T>() : nullptr;
    const std::int64_t positions = a.x.dim(0), heads = a.x.dim(1), n = a.x.dim(2), size = heads * n;
    const std::int64_t blocks = (positions + kBlock - 1) / kBlock;
    // dx is orthogonal to x but for eps, and ops/mlstm.cpp needs it to be: f32 holds that only if the projections of u
    // are in f64. bf16 could not.
    using A = std::conditional_t<std::is_same_v<T, C>, Wide<C>, C>;
    const A inverse = A(1) / static_cast<A>(static_cast<double>(n));
    Tensor partial;
    C* sums = nullptr;
    if (a.dw.defined()) {
      partial = Tensor::zeros({blocks, size}, dtype_of<C>);
      sums = partial.mutable_data<C>();
    }
    // One head of one position, given the gradient g of what the gate (if any) was multiplied with.
    const auto run_head = [=](std::int64_t i, std::int64_t block, A mean, A r, const auto* g) {
      const T* in = x + i * n;
      const C* weight = w + i % heads * n;
      const auto u = [=](std::int64_t j) { return static_cast<A>(weight[j]) * static_cast<A>(static_cast<C>(g[j])); };
      const auto normed = [=](std::int64_t j) { return (static_cast<A>(static_cast<C>(in[j])) - mean) * r; };
      if (dx != nullptr) {
        const A mean_u = inverse * vec::sum<A>(n, u);
        const A mean_ux = inverse * vec::sum<A>(n, [=](std::int64_t j) { return u(j) * normed(j); });
        vec::write(dx + i * n, n,
                   [=](std::int64_t j) { return static_cast<C>(r * (u(j) - mean_u - normed(j) * mean_ux)); });
      }
      if (sums != nullptr) {
        C* sum = sums + block * size + i % heads * n;
        for (std::int64_t j = 0; j < n; ++j) sum[j] += static_cast<C>(static_cast<A>(static_cast<C>(g[j])) * normed(j));
      }
    };
    [[maybe_unused]] const double eps = a.eps;  // where statistics are taken anew
    parallel_blocks(positions, kBlock, (gate != nullptr ? 16.0 : 10.0) * static_cast<double>(size),
                    [=](std::int64_t block, std::int64_t begin, std::int64_t end) {
                      const Tensor scratch = gate != nullptr ? Tensor::empty({2, n}, dtype_of<C>) : Tensor();
                      C* inner = gate != nullptr ? scratch.mutable_data<C>() : nullptr;  // dy σ(gate), then σ(gate)
                      for (std::int64_t i = begin * heads; i < end * heads; ++i) {
                        Statistics<A> stat;
                        if constexpr (std::is_same_v<A, C>)
                          stat = {stats[2 * i], stats[2 * i + 1]};
                        else
                          stat = statistics<A>(x + i * n, n, eps);
                        const T* g = dy + i * n;
                        if (gate == nullptr) {
                          run_head(i, block, stat.mean, stat.r, g);
                          continue;
                        }
                        C* open = inner + n;
                        vec::write(open, inner, n, [g, z = gate + i * n](auto j, auto& to_open, auto& to_inner) {
                          to_open = vec::logistic(vec::at(z, j));
                          to_inner = vec::at(g, j) * to_open;
                        });
                        if (dgate != nullptr)
                          vec::write(dgate + i * n, n,
                                     [=, in = x + i * n, weight = w + i % heads * n, mean = static_cast<C>(stat.mean),
                                      r = static_cast<C>(stat.r)](auto j) {
                                       const auto closed = C(1) - vec::at(open, j);
                                       return vec::at(inner, j) * closed *
                                              (vec::at(weight, j) * ((vec::at(in, j) - mean) * r));
                                     });
                        if (dx != nullptr || sums != nullptr)
                          run_head(i, block, stat.mean, stat.r, static_cast<const C*>(inner));
                      }
                    });
    if (sums == nullptr) return;
    C* dw = a.dw.mutable_data<C>();
    if (!a.add_dw) std::fill_n(dw, size, C(0));
    for (std::int64_t block = 0; block < blocks; ++block)
      for (std::int64_t j = 0; j < size; ++j) dw[j] += sums[block * size + j];
  });
}

}  // namespace blalm::kernels::reference
