#include "engine/kernels/rope.h"

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels::reference {

void rope(const RopeArgs& a) {
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    using R = decltype(real_part(T()));
    const T* x = a.x.data<T>();
    const R* table = a.table.data<R>();
    T* y = a.y.mutable_data<T>();
    const std::int64_t steps = a.x.dim(1), heads = a.x.dim(2), width = a.x.dim(3), half = width / 2;
    const R sign = a.inverse ? R(-1) : R(1);
    parallel_for(a.x.dim(0) * steps, 2.0 * static_cast<double>(heads * width),
                 [=](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row) {
                     const R *cosine = table + row % steps * width, *sine = cosine + half;
                     for (std::int64_t h = 0; h < heads; ++h) {
                       const T* in = x + (row * heads + h) * width;
                       T* out = y + (row * heads + h) * width;
                       vec::write(out, out + half, half, [=](std::int64_t j, C& first, C& second) {
                         const C p = static_cast<C>(in[j]), q = static_cast<C>(in[half + j]);
                         first = p * cosine[j] - q * (sign * sine[j]);
                         second = q * cosine[j] + p * (sign * sine[j]);
                       });
                     }
                   }
                 });
  });
}

}  // namespace blalm::kernels::reference
