#include "blalm/kernels/cross_entropy.h"

#include <cmath>
#include <limits>

#include "blalm/core/parallel.h"

namespace blalm::kernels::reference {
namespace {

template <class C>
C capped(C z, C cap) {
  return real_part(cap) > 0 ? cap * std::tanh(z / cap) : z;
}

}  // namespace

void cross_entropy(const CrossEntropyArgs& a) {
  const std::int64_t rows = a.logits.dim(0), vocabulary = a.logits.dim(1);
  const std::int32_t* targets = a.targets.data<std::int32_t>();
  visit_floating(a.logits.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* logits = a.logits.data<T>();
    C* losses = a.losses.defined() ? a.losses.mutable_data<C>() : nullptr;
    C* lse = a.lse.mutable_data<C>();
    const C cap = static_cast<C>(a.soft_cap);
    parallel_for(rows, 10.0 * static_cast<double>(vocabulary), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* z = logits + i * vocabulary;
        auto largest = -std::numeric_limits<decltype(real_part(T()))>::infinity();
        for (std::int64_t v = 0; v < vocabulary; ++v) largest = std::max(largest, real_part(z[v]));
        const C shift = capped(C(largest), cap);  // capping keeps the order
        C sum(0);
        for (std::int64_t v = 0; v < vocabulary; ++v) sum += std::exp(capped(static_cast<C>(z[v]), cap) - shift);
        lse[i] = shift + std::log(sum);
        if (losses != nullptr)
          losses[i] = targets[i] < 0 ? C(0) : lse[i] - capped(static_cast<C>(z[targets[i]]), cap);
      }
    });
  });
}

void cross_entropy_backward(const CrossEntropyBackwardArgs& a) {
  const std::int64_t rows = a.logits.dim(0), vocabulary = a.logits.dim(1);
  const std::int32_t* targets = a.targets.data<std::int32_t>();
  visit_floating(a.logits.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const C* lse = a.lse.data<C>();
    const T* logits = a.logits.data<T>();
    T* dlogits = a.dlogits.mutable_data<T>();
    const C cap = static_cast<C>(a.soft_cap), factor = static_cast<C>(a.factor);
    parallel_for(rows, 10.0 * static_cast<double>(vocabulary), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const C row_factor = targets[i] < 0 ? C(0) : factor;
        for (std::int64_t v = 0; v < vocabulary; ++v) {
          const C z = capped(static_cast<C>(logits[i * vocabulary + v]), cap);
          C g = std::exp(z - lse[i]);
          if (v == targets[i]) g -= C(1);
          if (a.soft_cap > 0) g *= C(1) - (z / cap) * (z / cap);
          dlogits[i * vocabulary + v] = static_cast<T>(row_factor * g);
        }
      }
    });
  });
}

}  // namespace blalm::kernels::reference
