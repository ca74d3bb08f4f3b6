#include "engine/kernels/cross_entropy.h"

#include <cmath>
#include <limits>

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/vector_math.h"

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
    parallel_for(rows, 3.0 * static_cast<double>(vocabulary), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* z = logits + i * vocabulary;
        const C largest = vec::largest<C>(vocabulary, [=](std::int64_t v) { return static_cast<C>(z[v]); });
        const C shift = capped(C(real_part(largest)), cap);  // capping keeps the order
        const C sum =
            real_part(cap) > 0
                ? vec::sum<C>(vocabulary,
                              [=](std::int64_t v) { return vec::exp(capped(static_cast<C>(z[v]), cap) - shift); })
                : vec::sum<C>(vocabulary, [=](std::int64_t v) { return vec::exp(static_cast<C>(z[v]) - shift); });
        lse[i] = shift + std::log(sum);
        if (losses != nullptr) losses[i] = targets[i] < 0 ? C(0) : lse[i] - capped(static_cast<C>(z[targets[i]]), cap);
      }
    });
  });
}

namespace {

template <class T, class G>
void backward(const CrossEntropyBackwardArgs& a) {
  using C = Compute<T>;
  const std::int64_t rows = a.logits.dim(0), vocabulary = a.logits.dim(1);
  const std::int32_t* targets = a.targets.data<std::int32_t>();
  const C* lse = a.lse.data<C>();
  const T* logits = a.logits.data<T>();
  G* dlogits = a.dlogits.mutable_data<G>();
  const C cap = static_cast<C>(a.soft_cap), factor = static_cast<C>(a.factor);
  const bool caps = a.soft_cap > 0;
  parallel_for(rows, 2.0 * static_cast<double>(vocabulary), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const T* z = logits + i * vocabulary;
      G* dz = dlogits + i * vocabulary;
      const C row_factor = targets[i] < 0 ? C(0) : factor, shift = lse[i];
      // The target's own logit, before dz may overwrite it.
      const C target = targets[i] < 0 ? C(0) : capped(static_cast<C>(z[targets[i]]), cap);
      const auto slope = [=](C capped_z) { return C(1) - (capped_z / cap) * (capped_z / cap); };
      if (caps) {
        for (std::int64_t v = 0; v < vocabulary; ++v) {
          const C y = capped(static_cast<C>(z[v]), cap);
          dz[v] = static_cast<G>(row_factor * vec::exp(y - shift) * slope(y));
        }
      } else {
        for (std::int64_t v = 0; v < vocabulary; ++v)
          dz[v] = static_cast<G>(row_factor * vec::exp(static_cast<C>(z[v]) - shift));
      }
      if (targets[i] >= 0)
        dz[targets[i]] = static_cast<G>(row_factor * (vec::exp(target - shift) - C(1)) * (caps ? slope(target) : C(1)));
    }
  });
}

}  // namespace

void cross_entropy_backward(const CrossEntropyBackwardArgs& a) {
  visit_floating(a.logits.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, float>)
      if (a.dlogits.dtype() == DType::bf16) return backward<float, BFloat16>(a);
    backward<T, T>(a);
  });
}

}  // namespace blalm::kernels::reference
