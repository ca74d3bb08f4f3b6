#include "engine/kernels/attention.h"

#include <cmath>
#include <limits>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"

namespace blalm::kernels::reference {
namespace {

template <class T>
Compute<T> dot(const T* a, const T* b, std::int64_t n) {
  using C = Compute<T>;
  C sum(0);
  for (std::int64_t j = 0; j < n; ++j) sum += static_cast<C>(a[j]) * static_cast<C>(b[j]);
  return sum;
}

// into += factor x
template <class C, class T>
void add_scaled(C factor, const T* x, C* into, std::int64_t n) {
  for (std::int64_t j = 0; j < n; ++j) into[j] += factor * static_cast<C>(x[j]);
}

// Calls f(s) for every visible key, in order.
template <class F>
void for_each_key(const VisibleKeys& keys, F&& f) {
  for (std::int64_t s = 0; s < keys.memory_end; ++s) f(s);
  for (std::int64_t s = keys.window_begin; s < keys.end; ++s) f(s);
}

template <class T>
void forward(const AttentionArgs& a) {
  using C = Compute<T>;
  const AttentionSizes n(a);
  const T *q = a.q.data<T>(), *k = a.k.data<T>(), *v = a.v.data<T>();
  T* o = a.o.mutable_data<T>();
  C* lse = a.lse.mutable_data<C>();
  const C scale = static_cast<C>(a.scale);
  const double pairs = static_cast<double>(a.band.visible(n.keys - 1).count());
  parallel_for(
      n.batch * n.heads * n.queries, pairs * static_cast<double>(n.d + n.e), [&](std::int64_t begin, std::int64_t end) {
        std::vector<C> p;
        std::vector<C> sum(static_cast<std::size_t>(n.e));
        for (std::int64_t task = begin; task < end; ++task) {
          const std::int64_t i = task % n.queries, h = task / n.queries % n.heads, b = task / n.queries / n.heads;
          const std::int64_t g = h / (n.heads / n.groups);
          const VisibleKeys keys = a.band.visible(a.first_query() + i);
          p.clear();
          // The largest real part: a constant to the complex step, since it cancels.
          auto largest = -std::numeric_limits<decltype(real_part(C(0)))>::infinity();
          for_each_key(keys, [&](std::int64_t s) {
            p.push_back(scale * dot(q + n.query(b, i, h) * n.d, k + n.key(b, s, g) * n.d, n.d));
            largest = std::max(largest, real_part(p.back()));
          });
          C total(0);
          for (C& x : p) total += x = std::exp(x - largest);
          std::fill(sum.begin(), sum.end(), C(0));
          auto x = p.begin();
          for_each_key(keys,
                       [&](std::int64_t s) { add_scaled(*x++ / total, v + n.key(b, s, g) * n.e, sum.data(), n.e); });
          T* out = o + n.query(b, i, h) * n.e;
          for (std::int64_t j = 0; j < n.e; ++j) out[j] = static_cast<T>(sum[static_cast<std::size_t>(j)]);
          lse[n.lse(b, i, h)] = largest + std::log(total);
        }
      });
}

// One task is one key head with all queries that read it, in order: no two tasks add to the same sum.
template <class T>
void backward(const AttentionBackwardArgs& a) {
  using C = Compute<T>;
  const AttentionSizes n(a);
  const T *q = a.q.data<T>(), *k = a.k.data<T>(), *v = a.v.data<T>(), *o = a.o.data<T>(), *d_o = a.d_o.data<T>();
  const C* lse = a.lse.data<C>();
  T* dq = a.dq.defined() ? a.dq.mutable_data<T>() : nullptr;
  T* dk = a.dk.defined() ? a.dk.mutable_data<T>() : nullptr;
  T* dv = a.dv.defined() ? a.dv.mutable_data<T>() : nullptr;
  const C scale = static_cast<C>(a.scale);
  const double cost = 2.5 * static_cast<double>(visible_pairs(a.band, a.first_query(), n.queries)) *
                      static_cast<double>((n.d + n.e) * (n.heads / n.groups));
  parallel_for(n.batch * n.groups, cost, [&](std::int64_t begin, std::int64_t end) {
    std::vector<C> p, dp;
    std::vector<C> key_sums(static_cast<std::size_t>(n.keys * n.d)), value_sums(static_cast<std::size_t>(n.keys * n.e));
    std::vector<C> query_sum(static_cast<std::size_t>(n.d));
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t g = task % n.groups, b = task / n.groups, shared = n.heads / n.groups;
      std::fill(key_sums.begin(), key_sums.end(), C(0));
      std::fill(value_sums.begin(), value_sums.end(), C(0));
      for (std::int64_t h = g * shared; h < (g + 1) * shared; ++h)
        for (std::int64_t i = 0; i < n.queries; ++i) {
          const VisibleKeys keys = a.band.visible(a.first_query() + i);
          const T* query = q + n.query(b, i, h) * n.d;
          const T* d_out = d_o + n.query(b, i, h) * n.e;
          p.clear();
          dp.clear();
          // Σ_s P dP; the probabilities computed again do not sum to 1 as exactly as those that made o.
          const C delta = dot(d_out, o + n.query(b, i, h) * n.e, n.e);
          for_each_key(keys, [&](std::int64_t s) {
            p.push_back(std::exp(scale * dot(query, k + n.key(b, s, g) * n.d, n.d) - lse[n.lse(b, i, h)]));
            dp.push_back(dot(d_out, v + n.key(b, s, g) * n.e, n.e));
          });
          std::fill(query_sum.begin(), query_sum.end(), C(0));
          std::size_t at = 0;
          for_each_key(keys, [&](std::int64_t s) {
            const C ds = scale * p[at] * (dp[at] - delta);
            add_scaled(ds, k + n.key(b, s, g) * n.d, query_sum.data(), n.d);
            add_scaled(ds, query, key_sums.data() + s * n.d, n.d);
            add_scaled(p[at], d_out, value_sums.data() + s * n.e, n.e);
            ++at;
          });
          if (dq != nullptr)
            for (std::int64_t j = 0; j < n.d; ++j)
              dq[n.query(b, i, h) * n.d + j] = static_cast<T>(query_sum[static_cast<std::size_t>(j)]);
        }
      for (std::int64_t s = 0; s < n.keys; ++s) {
        if (dk != nullptr)
          for (std::int64_t j = 0; j < n.d; ++j)
            dk[n.key(b, s, g) * n.d + j] = static_cast<T>(key_sums[static_cast<std::size_t>(s * n.d + j)]);
        if (dv != nullptr)
          for (std::int64_t j = 0; j < n.e; ++j)
            dv[n.key(b, s, g) * n.e + j] = static_cast<T>(value_sums[static_cast<std::size_t>(s * n.e + j)]);
      }
    }
  });
}

}  // namespace

void attention(const AttentionArgs& a) {
  visit_floating(a.q.dtype(), [&](auto tag) { forward<typename decltype(tag)::type>(a); });
}

void attention_backward(const AttentionBackwardArgs& a) {
  visit_floating(a.q.dtype(), [&](auto tag) { backward<typename decltype(tag)::type>(a); });
}

}  // namespace blalm::kernels::reference
