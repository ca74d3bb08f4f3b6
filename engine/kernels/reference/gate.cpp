#include "blalm/kernels/gate.h"

#include "blalm/core/parallel.h"
#include "blalm/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

// f(g) and f'(g). With p = σ(g): σ' = p (1 - p), silu' = p (1 + g (1 - p)).
template <Gate F, class C>
C value(C g, C p) {
  return F == Gate::silu ? g * p : p;
}
template <Gate F, class C>
C derivative(C g, C p) {
  return F == Gate::silu ? p * (C(1) + g * (C(1) - p)) : p * (C(1) - p);
}

template <Gate F>
void forward(const GatedArgs& a) {
  visit_floating(a.y.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *gate = a.gate.data<T>(), *x = a.x.data<T>();
    T* y = a.y.mutable_data<T>();
    parallel_for(a.y.numel(), 6.0, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        y[i] = static_cast<T>(value<F>(static_cast<C>(gate[i]), vec::logistic(static_cast<C>(gate[i]))) *
                              static_cast<C>(x[i]));
    });
  });
}

template <Gate F>
void backward(const GatedBackwardArgs& a) {
  visit_floating(a.dy.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *gate = a.gate.data<T>(), *dy = a.dy.data<T>();
    const T* x = a.dgate.defined() ? a.x.data<T>() : nullptr;
    T* dgate = a.dgate.defined() ? a.dgate.mutable_data<T>() : nullptr;
    T* dx = a.dx.defined() ? a.dx.mutable_data<T>() : nullptr;
    parallel_for(a.dy.numel(), 10.0, [=](std::int64_t begin, std::int64_t end) {
      if (dgate != nullptr && dx != nullptr) {  // one logistic for both
        for (std::int64_t i = begin; i < end; ++i) {
          const C g = static_cast<C>(gate[i]), p = vec::logistic(g), d = static_cast<C>(dy[i]);
          dgate[i] = static_cast<T>(d * static_cast<C>(x[i]) * derivative<F>(g, p));
          dx[i] = static_cast<T>(d * value<F>(g, p));
        }
      } else if (dgate != nullptr) {
        for (std::int64_t i = begin; i < end; ++i) {
          const C g = static_cast<C>(gate[i]);
          dgate[i] = static_cast<T>(static_cast<C>(dy[i]) * static_cast<C>(x[i]) * derivative<F>(g, vec::logistic(g)));
        }
      } else if (dx != nullptr) {
        for (std::int64_t i = begin; i < end; ++i) {
          const C g = static_cast<C>(gate[i]);
          dx[i] = static_cast<T>(static_cast<C>(dy[i]) * value<F>(g, vec::logistic(g)));
        }
      }
    });
  });
}

}  // namespace

void gated(const GatedArgs& a) { a.f == Gate::silu ? forward<Gate::silu>(a) : forward<Gate::sigmoid>(a); }

void gated_backward(const GatedBackwardArgs& a) {
  a.f == Gate::silu ? backward<Gate::silu>(a) : backward<Gate::sigmoid>(a);
}

}  // namespace blalm::kernels::reference
