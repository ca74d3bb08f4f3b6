#include "engine/kernels/hedgehog.h"

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

constexpr double kLeast = 1e-12;  // of an entry of the separate map

template <class C>
bool greater(C a, C b) {
  return real_part(a) > real_part(b);
}

// Writes scale · e, but no less than `least`, into half of a row.
template <class T, class C>
void store(const C* e, C scale, C least, std::int64_t n, T* out) {
  vec::write(out, n, [=](auto j) { return vec::at_least(least, vec::at(e, j) * scale); });
}

// One row; scratch holds 3 n.
template <class T, class C>
void forward(Features map, const T* row, std::int64_t n, C* scratch, T* phi) {
  C *y = scratch, *e = scratch + n;
  for (std::int64_t j = 0; j < n; ++j) y[j] = static_cast<C>(row[j]);
  const C high = vec::largest<C>(n, [=](std::int64_t j) { return y[j]; });
  const C low = -vec::largest<C>(n, [=](std::int64_t j) { return -y[j]; });
  const C factor = map == Features::joint ? C(2) : C(1);
  // The joint map has one maximum for both halves.
  const C top = map != Features::joint ? high : greater(high, -low) ? C(2) * high : C(-2) * low;
  const C other = map == Features::joint ? top : -low;
  vec::write(e, e + n, n, [=](auto j, auto& plus, auto& minus) {
    const auto scaled = factor * vec::at(y, j);
    plus = vec::exp(scaled - top);
    minus = vec::exp(-scaled - other);
  });
  C scale(1), other_scale(1);
  if (map != Features::exponential) {
    const C sum = vec::sum<C>(n, [=](std::int64_t j) { return e[j]; });
    const C other_sum = vec::sum<C>(n, [=](std::int64_t j) { return e[n + j]; });
    scale = C(1) / (map == Features::joint ? sum + other_sum : sum);
    other_scale = map == Features::joint ? scale : C(1) / other_sum;
  }
  const C least(map == Features::separate ? static_cast<decltype(real_part(C()))>(kLeast) : 0);
  store(e, scale, least, n, phi);
  store(e + n, other_scale, least, n, phi + n);
}

template <class T, class C>
C dot(const T* phi, const T* dphi, std::int64_t n) {
  return vec::sum<C>(n, [=](std::int64_t j) { return static_cast<C>(phi[j]) * static_cast<C>(dphi[j]); });
}

// An entry, or 0 if it was held.
template <class T, class C>
C unless_held(T phi, C least) {
  const C p = static_cast<C>(phi);
  return greater(p, least) ? p : C(0);
}

template <class T, class C>
C dot_unless_held(const T* phi, const T* dphi, std::int64_t n, C least) {
  return vec::sum<C>(n, [=](std::int64_t j) { return unless_held(phi[j], least) * static_cast<C>(dphi[j]); });
}

template <class T, class C>
void backward(Features map, const T* y, const T* phi, const T* dphi, std::int64_t n, T* dy) {
  const T *p = phi, *q = phi + n, *dp = dphi, *dq = dphi + n;
  if (map == Features::joint) {
    // du = φ (dφ - φ·dφ) for u = [2y, -2y]; dy = 2 (du₁ - du₂)
    const C mean = dot<T, C>(p, dp, n) + dot<T, C>(q, dq, n);
    vec::write(dy, n, [=](std::int64_t j) {
      return C(2) * (static_cast<C>(p[j]) * (static_cast<C>(dp[j]) - mean) -
                     static_cast<C>(q[j]) * (static_cast<C>(dq[j]) - mean));
    });
  } else if (map == Features::separate) {
    // The threshold as it was stored, rounded to T.
    using R = decltype(real_part(C()));
    const C least = static_cast<C>(static_cast<T>(static_cast<C>(static_cast<R>(kLeast))));
    const C mean = dot_unless_held(p, dp, n, least), other = dot_unless_held(q, dq, n, least);
    vec::write(dy, n, [=](std::int64_t j) {
      return unless_held(p[j], least) * (static_cast<C>(dp[j]) - mean) -
             unless_held(q[j], least) * (static_cast<C>(dq[j]) - other);
    });
  } else {
    std::int64_t high = 0, low = 0;
    for (std::int64_t j = 1; j < n; ++j) {
      if (greater(static_cast<C>(y[j]), static_cast<C>(y[high]))) high = j;
      if (greater(static_cast<C>(y[low]), static_cast<C>(y[j]))) low = j;
    }
    const auto slope = [=](std::int64_t j) {
      return static_cast<C>(p[j]) * static_cast<C>(dp[j]) - static_cast<C>(q[j]) * static_cast<C>(dq[j]);
    };
    vec::write(dy, n, slope);
    const C up = dot<T, C>(p, dp, n), down = dot<T, C>(q, dq, n);
    dy[high] = static_cast<T>(slope(high) - up + (high == low ? down : C(0)));
    if (low != high) dy[low] = static_cast<T>(slope(low) + down);
  }
}

}  // namespace

void hedgehog(const HedgehogArgs& a) {
  visit_floating(a.y.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* y = a.y.data<T>();
    T* phi = a.phi.mutable_data<T>();
    const std::int64_t rows = a.y.dim(0), n = a.y.dim(1);
    if (n == 0) return;
    parallel_for(rows, 16.0 * static_cast<double>(n), [=, map = a.map](std::int64_t begin, std::int64_t end) {
      const Tensor buffer = Tensor::empty({3 * n}, dtype_of<C>);
      C* scratch = buffer.mutable_data<C>();
      for (std::int64_t row = begin; row < end; ++row) forward<T, C>(map, y + row * n, n, scratch, phi + 2 * row * n);
    });
  });
}

void hedgehog_backward(const HedgehogBackwardArgs& a) {
  visit_floating(a.dy.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* y = a.map == Features::exponential ? a.y.data<T>() : nullptr;
    const T *phi = a.phi.data<T>(), *dphi = a.dphi.data<T>();
    T* dy = a.dy.mutable_data<T>();
    const std::int64_t rows = a.dy.dim(0), n = a.dy.dim(1);
    if (n == 0) return;
    parallel_for(rows, 8.0 * static_cast<double>(n), [=, map = a.map](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row)
        backward<T, C>(map, y == nullptr ? nullptr : y + row * n, phi + 2 * row * n, dphi + 2 * row * n, n,
                       dy + row * n);
    });
  });
}

}  // namespace blalm::kernels::reference
