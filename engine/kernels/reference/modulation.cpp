#include "blalm/kernels/modulation.h"

#include "blalm/core/parallel.h"
#include "blalm/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

// Rows of one partial sum of drho: fixed, so that the bits do not depend on the number of threads.
constexpr std::int64_t kRowBlock = 64;

}  // namespace

void modulate(const ModulateArgs& a) {
  visit_floating(a.y.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *linear = a.linear.data<T>(), *window = a.window.data<T>();
    const C* rho = a.rho.data<C>();
    T* y = a.y.mutable_data<T>();
    const std::int64_t width = a.rho.numel();
    parallel_for(a.y.dim(0), 2.0 * static_cast<double>(width),
                 [=, convex = a.convex](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row) {
                     const T *l = linear + row * width, *w = window + row * width;
                     T* out = y + row * width;
                     if (convex)
                       vec::write(out, width, [=](std::int64_t c) {
                         return (C(1) - rho[c]) * static_cast<C>(l[c]) + rho[c] * static_cast<C>(w[c]);
                       });
                     else
                       vec::write(out, width,
                                  [=](std::int64_t c) { return static_cast<C>(l[c]) + rho[c] * static_cast<C>(w[c]); });
                   }
                 });
  });
}

void modulate_backward(const ModulateBackwardArgs& a) {
  visit_floating(a.dy.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const std::int64_t rows = a.dy.dim(0), width = a.rho.numel(), blocks = (rows + kRowBlock - 1) / kRowBlock;
    const C* rho = a.rho.data<C>();
    const T* dy = a.dy.data<T>();
    T* dlinear = a.dlinear.defined() ? a.dlinear.mutable_data<T>() : nullptr;
    T* dwindow = a.dwindow.defined() ? a.dwindow.mutable_data<T>() : nullptr;
    const T *linear = nullptr, *window = nullptr;
    Tensor partial;
    C* sums = nullptr;
    if (a.drho.defined()) {
      window = a.window.data<T>();
      if (a.convex) linear = a.linear.data<T>();
      partial = Tensor::zeros({blocks, width}, dtype_of<C>);
      sums = partial.mutable_data<C>();
    }
    parallel_blocks(rows, kRowBlock, 4.0 * static_cast<double>(width),
                    [=](std::int64_t block, std::int64_t begin, std::int64_t end) {
                      for (std::int64_t row = begin; row < end; ++row) {
                        const T* g = dy + row * width;
                        if (dlinear != nullptr)
                          vec::write(dlinear + row * width, width,
                                     [=](std::int64_t c) { return (C(1) - rho[c]) * static_cast<C>(g[c]); });
                        if (dwindow != nullptr)
                          vec::write(dwindow + row * width, width,
                                     [=](std::int64_t c) { return rho[c] * static_cast<C>(g[c]); });
                        if (sums == nullptr) continue;
                        const T* w = window + row * width;
                        C* sum = sums + block * width;
                        if (linear != nullptr) {
                          const T* l = linear + row * width;
                          for (std::int64_t c = 0; c < width; ++c)
                            sum[c] += static_cast<C>(g[c]) * (static_cast<C>(w[c]) - static_cast<C>(l[c]));
                        } else {
                          for (std::int64_t c = 0; c < width; ++c)
                            sum[c] += static_cast<C>(g[c]) * static_cast<C>(w[c]);
                        }
                      }
                    });
    if (sums == nullptr) return;
    C* drho = a.drho.mutable_data<C>();
    for (std::int64_t c = 0; c < width; ++c) drho[c] = C(0);
    for (std::int64_t block = 0; block < blocks; ++block)
      for (std::int64_t c = 0; c < width; ++c) drho[c] += sums[block * width + c];
  });
}

}  // namespace blalm::kernels::reference
