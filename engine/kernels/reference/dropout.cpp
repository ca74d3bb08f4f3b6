#include "engine/kernels/dropout.h"

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"

namespace blalm::kernels::reference {

void dropout(const DropoutArgs& a) {
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* x = a.x.data<T>();
    T* y = a.y.mutable_data<T>();
    const C scale = static_cast<C>(a.scale);
    parallel_for(a.x.numel(), 12.0, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end;) {
        const std::uint64_t word = a.rng.position() + static_cast<std::uint64_t>(i);
        const auto words = a.rng.words(word / 4);
        for (std::uint64_t k = word % 4; k < 4 && i < end; ++k, ++i)
          y[i] = words[k] >= a.threshold ? static_cast<T>(scale * static_cast<C>(x[i])) : T(0);
      }
    });
  });
}

}  // namespace blalm::kernels::reference
