#include <cmath>
#include <limits>

#include "engine/core/parallel.h"
#include "engine/kernels/norm.h"
#include "engine/kernels/partial_sums.h"
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

// Positions of one partial sum of a weight gradient.
constexpr std::int64_t kBlock = 64;

template <class C>
struct Statistics {
  C mean, r;  // x̂ = (x - mean) r
};

template <class C, class T>
Statistics<C> statistics(HeadNormSteps steps, const T* x, std::int64_t n, double eps) {
  const C inverse = C(1) / static_cast<C>(static_cast<double>(n));
  Statistics<C> stat{C(0), C(1)};
  if (steps.centred) stat.mean = inverse * vec::sum<C>(n, [=](std::int64_t j) { return static_cast<C>(x[j]); });
  if (!steps.scaled) return stat;
  const C variance = inverse * vec::sum<C>(n, [=, mean = stat.mean](std::int64_t j) {
                       const C d = static_cast<C>(x[j]) - mean;
                       return d * d;
                     });
  stat.r = C(1) / std::sqrt(variance + static_cast<C>(eps));
  return stat;
}

// One head of one position: w x̂, and with a side what both come to.
template <class T>
struct Head {
  using C = Compute<T>;

  const T* x;
  const C* w;
  Statistics<C> stat;
  const T* value;  // of the side; may be null
  const C* rho;

  auto normed() const {
    return
        [w = w, x = x, mean = stat.mean, r = stat.r](auto j) { return vec::at(w, j) * ((vec::at(x, j) - mean) * r); };
  }
  // use(f), f(j) being the sum.
  template <class Use>
  void joined(bool convex, const Use& use) const {
    if (value == nullptr)
      use(normed());
    else if (convex)
      use([normed = normed(), value = value, rho = rho](auto j) {
        return (C(1) - vec::at(rho, j)) * normed(j) + vec::at(rho, j) * vec::at(value, j);
      });
    else
      use([normed = normed(), value = value, rho = rho](auto j) {
        return normed(j) + vec::at(rho, j) * vec::at(value, j);
      });
  }
};

// The number at j, computed with in A: what T is computed with, whatever j is, or something wider.
template <class A, class T, class J>
auto as(const T* p, J j) {
  if constexpr (std::is_same_v<A, Compute<T>>)
    return vec::at(p, j);
  else
    return static_cast<A>(vec::at(p, j));
}
template <class C, class A>
auto narrowed(A x) {
  if constexpr (std::is_same_v<A, Wide<C>>)
    return static_cast<C>(x);
  else
    return x;
}

// d rounded to C so that, over a row, Σ d x stays what it was: what rounding takes from one product, `lost`, the next
// one that can do so within a few ulp takes over.
template <class C, class A>
C rounded_beside(A x, A d, A& lost) {
  const A change = lost / x;  // none where x is 0
  const C result =
      static_cast<C>(std::abs(change) <= A(4) * std::numeric_limits<C>::epsilon() * std::abs(d) ? d + change : d);
  lost += (d - static_cast<A>(result)) * x;
  return result;
}

template <class T>
const T* data_of(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}
template <class T>
T* mutable_data_of(const Tensor& t) {
  return t.defined() ? t.mutable_data<T>() : nullptr;
}

}  // namespace

void head_norm(const HeadNormArgs& a) {
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *x = a.x.data<T>(), *gate = data_of<T>(a.gate), *value = data_of<T>(a.side.value);
    const C *w = a.w.data<C>(), *rho = data_of<C>(a.side.rho);
    T* y = a.y.mutable_data<T>();
    C* stats = a.stats.mutable_data<C>();
    const std::int64_t heads = a.x.dim(1), n = a.x.dim(2);
    const double cost = (gate != nullptr ? 12.0 : 6.0) + (value != nullptr ? 3.0 : 0.0);
    parallel_for(a.x.dim(0), cost * static_cast<double>(heads * n),
                 [=, eps = a.eps, steps = a.steps, convex = a.side.convex](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin * heads; i < end * heads; ++i) {
                     const std::int64_t channel = i % heads * n;
                     const Head<T> head{x + i * n, w + channel, statistics<C>(steps, x + i * n, n, eps),
                                        value != nullptr ? value + i * n : nullptr,
                                        rho != nullptr ? rho + channel : nullptr};
                     T* out = y + i * n;
                     if (gate == nullptr)
                       vec::write(out, n, head.normed());
                     else
                       head.joined(convex, [=, g = gate + i * n](const auto& joined) {
                         vec::write(out, n, [=](auto j) { return vec::logistic(vec::at(g, j)) * joined(j); });
                       });
                     stats[2 * i] = head.stat.mean;
                     stats[2 * i + 1] = head.stat.r;
                   }
                 });
  });
}

void head_norm_backward(const HeadNormBackwardArgs& a) {
  visit_floating(a.x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *x = a.x.data<T>(), *dy = a.dy.data<T>(), *gate = data_of<T>(a.gate), *value = data_of<T>(a.side.value);
    const C *w = a.w.data<C>(), *stats = a.stats.data<C>(), *rho = data_of<C>(a.side.rho);
    T *dx = mutable_data_of<T>(a.dx), *dgate = mutable_data_of<T>(a.dgate), *dvalue = mutable_data_of<T>(a.dvalue);
    const std::int64_t positions = a.x.dim(0), heads = a.x.dim(1), n = a.x.dim(2), size = heads * n;
    const std::int64_t blocks = (positions + kBlock - 1) / kBlock;
    const bool convex = a.side.convex;
    // dx is orthogonal to x but for eps, and ops/mlstm.cpp needs it to be: f32 holds that only if the projections of u
    // are in f64, and dx is rounded with x in view. bf16 could not.
    using A = std::conditional_t<std::is_same_v<T, C>, Wide<C>, C>;
    constexpr bool wide = !std::is_same_v<A, C>;
    const A inverse = A(1) / static_cast<A>(static_cast<double>(n));
    const PartialSums<C> w_sums = a.dw.defined() ? PartialSums<C>(blocks, size) : PartialSums<C>();
    const PartialSums<C> rho_sums = a.drho.defined() ? PartialSums<C>(blocks, size) : PartialSums<C>();
    const HeadNormSteps steps = a.steps;
    // One head of one position, given the gradient g of w x̂.
    const auto run_head = [=](std::int64_t i, C* w_sum, Statistics<A> stat, const auto* g) {
      const auto u = [g, weight = w + i % heads * n](auto j) { return as<A>(weight, j) * as<A>(g, j); };
      const auto normed = [=, in = x + i * n](auto j) { return (as<A>(in, j) - stat.mean) * stat.r; };
      A mean_u(0), mean_ux(0);
      if (dx != nullptr && steps.scaled) {
        const auto sums = vec::two_sums<A>(n, [=](auto j, auto& first, auto& second) {
          first = u(j);
          second = first * normed(j);
        });
        if (steps.centred) mean_u = inverse * sums.first;
        mean_ux = inverse * sums.second;
      }
      vec::over<A>(n, [=, to = dx != nullptr ? dx + i * n : nullptr, lost = A(0)](auto j) mutable {
        static_cast<void>(lost);  // unless dx is rounded
        const auto at = normed(j);
        if (to != nullptr) {
          const auto d = stat.r * (u(j) - mean_u - at * mean_ux);
          if constexpr (wide)
            to[j] = rounded_beside<C>(as<A>(x + i * n, j), d, lost);
          else
            vec::put(to, j, d);
        }
        if (w_sum != nullptr) vec::put(w_sum, j, vec::at(w_sum, j) + narrowed<C>(as<A>(g, j) * at));
      });
    };
    // What the gate and the side get, in one pass over the rows; `inner` becomes the gradient of w x̂.
    const auto run_gate = [=](std::int64_t i, C* rho_sum, const Head<T>& head, C* inner) {
      const T *g = dy + i * n, *z = gate + i * n;
      T *to_gate = dgate != nullptr ? dgate + i * n : nullptr, *to_value = dvalue != nullptr ? dvalue + i * n : nullptr;
      head.joined(convex, [=, normed = head.normed(), s = head.value, p = head.rho](const auto& joined) {
        vec::over<C>(n, [&](auto j) {
          const auto open = vec::logistic(vec::at(z, j));
          const auto d = vec::at(g, j) * open;
          if (to_gate != nullptr) vec::put(to_gate, j, d * (C(1) - open) * joined(j));
          if (s == nullptr) return vec::put(inner, j, d);
          const auto weight = vec::at(p, j);
          if (to_value != nullptr) vec::put(to_value, j, weight * d);
          if (rho_sum != nullptr)
            vec::put(rho_sum, j, vec::at(rho_sum, j) + d * (convex ? vec::at(s, j) - normed(j) : vec::at(s, j)));
          vec::put(inner, j, convex ? (C(1) - weight) * d : d);
        });
      });
    };
    [[maybe_unused]] const double eps = a.eps;  // where statistics are taken anew
    const double cost = (gate != nullptr ? 16.0 : 10.0) + (value != nullptr ? 6.0 : 0.0);
    parallel_blocks(positions, kBlock, cost * static_cast<double>(size),
                    [=](std::int64_t block, std::int64_t begin, std::int64_t end) {
                      const Tensor scratch = gate != nullptr ? Tensor::empty({n}, dtype_of<C>) : Tensor();
                      C* inner = mutable_data_of<C>(scratch);
                      C *w_sum = w_sums.of(block), *rho_sum = rho_sums.of(block);
                      for (std::int64_t i = begin * heads; i < end * heads; ++i) {
                        const std::int64_t channel = i % heads * n;
                        Statistics<A> stat;
                        if constexpr (std::is_same_v<A, C>)
                          stat = {stats[2 * i], stats[2 * i + 1]};
                        else
                          stat = statistics<A>(steps, x + i * n, n, eps);
                        C* into = w_sum != nullptr ? w_sum + channel : nullptr;
                        if (gate == nullptr) {
                          run_head(i, into, stat, dy + i * n);
                          continue;
                        }
                        const Head<T> head{x + i * n,
                                           w + channel,
                                           {static_cast<C>(stat.mean), static_cast<C>(stat.r)},
                                           value != nullptr ? value + i * n : nullptr,
                                           rho != nullptr ? rho + channel : nullptr};
                        run_gate(i, rho_sum != nullptr ? rho_sum + channel : nullptr, head, inner);
                        if (dx != nullptr || into != nullptr) run_head(i, into, stat, static_cast<const C*>(inner));
                      }
                    });
    if (w_sums) w_sums.write(a.dw.mutable_data<C>(), a.add_dw);
    if (rho_sums) rho_sums.write(a.drho.mutable_data<C>());
  });
}

}  // namespace blalm::kernels::reference
