#include "engine/kernels/swiglu.h"

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

// Of g, p being σ(g): silu = g p, silu' = p (1 + g (1 - p)).
template <class C>
C derivative(C g, C p) {
  return p * (C(1) + g * (C(1) - p));
}

}  // namespace

void swiglu(const SwigluArgs& a) {
  visit_floating(a.y.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *gate = a.gate.data<T>(), *up = a.up.data<T>();
    T* y = a.y.mutable_data<T>();
    parallel_for(a.y.numel(), 6.0, [=](std::int64_t begin, std::int64_t end) {
      vec::write(y + begin, end - begin, [gate = gate + begin, up = up + begin](auto i) {
        const auto g = vec::at(gate, i);
        return g * vec::logistic(g) * vec::at(up, i);
      });
    });
  });
}

void swiglu_backward(const SwigluBackwardArgs& a) {
  visit_floating(a.dy.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *gate = a.gate.data<T>(), *dy = a.dy.data<T>();
    const T* up = a.dgate.defined() ? a.up.data<T>() : nullptr;
    T* dgate = a.dgate.defined() ? a.dgate.mutable_data<T>() : nullptr;
    T* dup = a.dup.defined() ? a.dup.mutable_data<T>() : nullptr;
    parallel_for(a.dy.numel(), 10.0, [=](std::int64_t begin, std::int64_t end) {
      const std::int64_t n = end - begin;
      const auto to_gate = [dy = dy + begin, up = up + begin](auto i, auto g, auto p) {
        return vec::at(dy, i) * vec::at(up, i) * derivative(g, p);
      };
      const auto to_up = [dy = dy + begin](auto i, auto g, auto p) { return vec::at(dy, i) * (g * p); };
      const auto gate_at = [gate = gate + begin](auto i) { return vec::at(gate, i); };
      if (dgate != nullptr && dup != nullptr)  // one logistic for both
        vec::write(dgate + begin, dup + begin, n, [=](auto i, auto& first, auto& second) {
          const auto g = gate_at(i), p = vec::logistic(g);
          first = to_gate(i, g, p);
          second = to_up(i, g, p);
        });
      else if (dgate != nullptr)
        vec::write(dgate + begin, n, [=](auto i) { return to_gate(i, gate_at(i), vec::logistic(gate_at(i))); });
      else if (dup != nullptr)
        vec::write(dup + begin, n, [=](auto i) { return to_up(i, gate_at(i), vec::logistic(gate_at(i))); });
    });
  });
}

}  // namespace blalm::kernels::reference
