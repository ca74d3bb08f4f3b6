#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"

namespace blalm::kernels::reference {
namespace {

template <class To, class From>
void add(To* into, const From* from, std::int64_t n) {
  parallel_for(n, 1.0, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      into[i] = static_cast<To>(static_cast<Compute<To>>(into[i]) + static_cast<Compute<To>>(from[i]));
  });
}

}  // namespace

void accumulate(const AccumulateArgs& a) {
  if (a.into.shape() != a.from.shape())
    throw ShapeError(expected_got("accumulate", a.into.shape().str(), a.from.shape().str()));
  void* into = a.into.mutable_raw();
  visit_floating(a.into.dtype(), [&](auto tag) {
    using To = typename decltype(tag)::type;
    if (a.from.dtype() == a.into.dtype()) {
      add(static_cast<To*>(into), a.from.data<To>(), a.into.numel());
    } else if constexpr (std::is_same_v<To, float>) {
      add(static_cast<To*>(into), a.from.data<BFloat16>(), a.into.numel());
    } else {
      const Tensor from = a.from.to(a.into.dtype());
      add(static_cast<To*>(into), from.data<To>(), a.into.numel());
    }
  });
}

Reason declines_accumulate(const AccumulateArgs& a) {
  return a.into.dtype() == DType::f32 && a.from.dtype() != DType::f32 && a.from.dtype() != DType::bf16
             ? "f32 takes f32 or bf16"
             : nullptr;
}

}  // namespace blalm::kernels::reference
