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
    const T *gate = a.gate.data<T>(), *x = a.x.data<T>();
    T* y = a.y.mutable_data<T>();
    parallel_for(a.y.numel(), 6.0, [=](std::int64_t begin, std::int64_t end) {
      vec::write(y + begin, end - begin, [gate = gate + begin, x = x + begin](auto i) {
        const auto g = vec::at(gate, i);
        return value<F>(g, vec::logistic(g)) * vec::at(x, i);
      });
    });
  });
}

template <Gate F>
void backward(const GatedBackwardArgs& a) {
  visit_floating(a.dy.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *gate = a.gate.data<T>(), *dy = a.dy.data<T>();
    const T* x = a.dgate.defined() ? a.x.data<T>() : nullptr;
    T* dgate = a.dgate.defined() ? a.dgate.mutable_data<T>() : nullptr;
    T* dx = a.dx.defined() ? a.dx.mutable_data<T>() : nullptr;
    parallel_for(a.dy.numel(), 10.0, [=](std::int64_t begin, std::int64_t end) {
      const std::int64_t n = end - begin;
      const auto to_gate = [dy = dy + begin, x = x + begin](auto i, auto g, auto p) {
        return vec::at(dy, i) * vec::at(x, i) * derivative<F>(g, p);
      };
      const auto to_x = [dy = dy + begin](auto i, auto g, auto p) { return vec::at(dy, i) * value<F>(g, p); };
      const auto gate_at = [gate = gate + begin](auto i) { return vec::at(gate, i); };
      if (dgate != nullptr && dx != nullptr)  // one logistic for both
        vec::write(dgate + begin, dx + begin, n, [=](auto i, auto& first, auto& second) {
          const auto g = gate_at(i), p = vec::logistic(g);
          first = to_gate(i, g, p);
          second = to_x(i, g, p);
        });
      else if (dgate != nullptr)
        vec::write(dgate + begin, n, [=](auto i) { return to_gate(i, gate_at(i), vec::logistic(gate_at(i))); });
      else if (dx != nullptr)
        vec::write(dx + begin, n, [=](auto i) { return to_x(i, gate_at(i), vec::logistic(gate_at(i))); });
    });
  });
}

}  // namespace

void gated(const GatedArgs& a) { a.f == Gate::silu ? forward<Gate::silu>(a) : forward<Gate::sigmoid>(a); }

void gated_backward(const GatedBackwardArgs& a) {
  a.f == Gate::silu ? backward<Gate::silu>(a) : backward<Gate::sigmoid>(a);
}

}  // namespace blalm::kernels::reference
