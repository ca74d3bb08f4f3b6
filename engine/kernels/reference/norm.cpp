#include "engine/kernels/norm.h"

#include <cmath>

#include "engine/core/parallel.h"
#include "engine/kernels/partial_sums.h"
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

// Rows of one partial sum of a weight gradient.
constexpr std::int64_t kRowBlock = 64;

// From f32 to f32 an output is rounded once: the gradient of an mLSTM's input gate can be some hundred times as
// sensitive to the mixer's input as others (ops/mlstm.cpp).
template <class X, class Y>
void forward(const RmsNormArgs& a) {
  using C = Compute<X>;
  using A = std::conditional_t<std::is_same_v<X, Y> && std::is_same_v<X, C>, Wide<C>, C>;
  const X* x = a.x.data<X>();
  const X* more = a.more.defined() ? a.more.data<X>() : nullptr;
  X* sum = a.sum.defined() ? a.sum.mutable_data<X>() : nullptr;
  const C* w = a.w.data<C>();
  Y* y = a.y.mutable_data<Y>();
  Y* normed = a.normed.defined() ? a.normed.mutable_data<Y>() : nullptr;
  C* rrms = a.rrms.mutable_data<C>();
  const std::int64_t d = a.w.numel(), rows = a.rrms.numel();
  parallel_for(rows, 4.0 * static_cast<double>(d), [=, eps = a.eps](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const X* in = x + row * d;
      if (more != nullptr) {
        vec::write(sum + row * d, d,
                   [in, b = more + row * d](std::int64_t j) { return static_cast<C>(in[j]) + static_cast<C>(b[j]); });
        in = sum + row * d;
      }
      const auto read = [in](std::int64_t j) { return static_cast<A>(static_cast<C>(in[j])); };
      const A squares = vec::sum<A>(d, [=](std::int64_t j) { return read(j) * read(j); });
      const A r = A(1) / std::sqrt(squares / static_cast<A>(static_cast<double>(d)) + static_cast<A>(eps));
      Y* out = y + row * d;
      if constexpr (std::is_same_v<X, Y>) {
        vec::write(out, d, [=](std::int64_t j) { return static_cast<C>(static_cast<A>(w[j]) * (read(j) * r)); });
      } else {
        Y* hat = normed != nullptr ? normed + row * d : out;
        vec::write(hat, d, [=](std::int64_t j) { return read(j) * r; });
        vec::write(out, d, [=](std::int64_t j) { return w[j] * static_cast<C>(hat[j]); });
      }
      rrms[row] = static_cast<C>(r);
    }
  });
}

// X: of x and its gradient. Y: of the output's gradient and of what was kept.
template <class X, class Y>
void backward(const RmsNormBackwardArgs& a) {
  using C = Compute<X>;
  const Y *x = a.x.data<Y>(), *dy = a.dy.data<Y>();
  const C* w = a.w.data<C>();
  const C* rrms = a.rrms.data<C>();
  X* dx = a.dx.defined() ? a.dx.mutable_data<X>() : nullptr;
  const X* other = a.other.defined() ? a.other.data<X>() : nullptr;
  const std::int64_t d = a.w.numel(), rows = a.rrms.numel(), blocks = (rows + kRowBlock - 1) / kRowBlock;
  const PartialSums<C> sums = a.dw.defined() ? PartialSums<C>(blocks, d) : PartialSums<C>();
  const auto run = [=, normed = a.normed](std::int64_t block, std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const Y *in = x + row * d, *g = dy + row * d;
      const C r = rrms[row], to_normed = normed ? C(1) : r;
      const auto hat = [=](std::int64_t j) { return static_cast<C>(in[j]) * to_normed; };
      if (dx != nullptr) {
        // mean(u x̂) with u = w dy
        const C dot = vec::sum<C>(d, [=](std::int64_t j) { return w[j] * static_cast<C>(g[j]) * hat(j); });
        const C mean = dot / static_cast<C>(static_cast<double>(d));
        const auto gradient = [=](std::int64_t j) { return r * (w[j] * static_cast<C>(g[j]) - mean * hat(j)); };
        X* out = dx + row * d;
        if (other == nullptr) {
          vec::write(out, d, gradient);
        } else {
          vec::write(out, d, [=, b = other + row * d](std::int64_t j) { return static_cast<C>(b[j]) + gradient(j); });
        }
      }
      if (C* sum = sums.of(block); sum != nullptr)
        for (std::int64_t j = 0; j < d; ++j) sum[j] += static_cast<C>(g[j]) * hat(j);
    }
  };
  parallel_blocks(rows, kRowBlock, 8.0 * static_cast<double>(d), run);
  if (sums) sums.write(a.dw.mutable_data<C>(), a.add_dw);
}

// x and the output (or its gradient) are both f32 or bf16, in any mix, or of one wider dtype.
template <class Call>
void visit_pair(DType x, DType y, Call&& call) {
  visit_floating(x, [&](auto tag) {
    using X = typename decltype(tag)::type;
    if (x == y)
      call(tag, tag);
    else if constexpr (std::is_same_v<X, float>)
      call(tag, TypeTag<BFloat16>{});
    else if constexpr (std::is_same_v<X, BFloat16>)
      call(tag, TypeTag<float>{});
  });
}

}  // namespace

void rms_norm(const RmsNormArgs& a) {
  visit_pair(a.x.dtype(), a.y.dtype(),
             [&](auto x, auto y) { forward<typename decltype(x)::type, typename decltype(y)::type>(a); });
}

void rms_norm_again(const RmsNormAgainArgs& a) {
  visit_floating(a.y.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* normed = a.normed.data<T>();
    const C* w = a.w.data<C>();
    T* y = a.y.mutable_data<T>();
    const std::int64_t d = a.w.numel();
    parallel_for(a.y.dim(0), static_cast<double>(d), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row)
        vec::write(y + row * d, d,
                   [=, hat = normed + row * d](std::int64_t j) { return w[j] * static_cast<C>(hat[j]); });
    });
  });
}

void rms_norm_backward(const RmsNormBackwardArgs& a) {
  // With dw alone wanted there is no gradient of x whose dtype could be told: none is written.
  visit_pair(a.dx.defined() ? a.dx.dtype() : a.x.dtype(), a.dy.dtype(),
             [&](auto x, auto y) { backward<typename decltype(x)::type, typename decltype(y)::type>(a); });
}

}  // namespace blalm::kernels::reference
