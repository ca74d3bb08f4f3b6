#include "blalm/kernels/norm.h"

#include <cmath>

#include "blalm/core/parallel.h"
#include "blalm/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

// Rows of one partial sum of a weight gradient: fixed, so that the bits do not depend on the number of threads.
constexpr std::int64_t kRowBlock = 64;

// From f32 to f32 an output is rounded once: the gradient of an mLSTM's input gate can be some hundred times as
// sensitive to the mixer's input as others (ops/mlstm.cpp).
template <class X, class Y>
void forward(const RmsNormArgs& a) {
  using C = Compute<X>;
  using A = std::conditional_t<std::is_same_v<X, Y> && std::is_same_v<X, C>, Wide<C>, C>;
  const X* x = a.x.data<X>();
  const C* w = a.w.data<C>();
  Y* y = a.y.mutable_data<Y>();
  C* rrms = a.rrms.mutable_data<C>();
  const std::int64_t d = a.w.numel(), rows = a.rrms.numel();
  parallel_for(rows, 4.0 * static_cast<double>(d), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const X* in = x + row * d;
      Y* out = y + row * d;
      const auto read = [in](std::int64_t j) { return static_cast<A>(static_cast<C>(in[j])); };
      const A squares = vec::sum<A>(d, [=](std::int64_t j) { return read(j) * read(j); });
      const A r = A(1) / std::sqrt(squares / static_cast<A>(static_cast<double>(d)) + static_cast<A>(a.eps));
      for (std::int64_t j = 0; j < d; ++j)
        out[j] = static_cast<Y>(static_cast<C>(static_cast<A>(w[j]) * (read(j) * r)));
      rrms[row] = static_cast<C>(r);
    }
  });
}

template <class X, class Y>
void backward(const RmsNormBackwardArgs& a) {
  using C = Compute<X>;
  const X* x = a.x.data<X>();
  const Y* dy = a.dy.data<Y>();
  const C* w = a.w.data<C>();
  const C* rrms = a.rrms.data<C>();
  X* dx = a.dx.defined() ? a.dx.mutable_data<X>() : nullptr;
  const std::int64_t d = a.w.numel(), rows = a.rrms.numel(), blocks = (rows + kRowBlock - 1) / kRowBlock;
  Tensor partial;
  C* sums = nullptr;
  if (a.dw.defined()) {
    partial = Tensor::zeros({blocks, d}, dtype_of<C>);
    sums = partial.mutable_data<C>();
  }
  parallel_blocks(
      rows, kRowBlock, 8.0 * static_cast<double>(d), [&](std::int64_t block, std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const X* in = x + row * d;
          const Y* g = dy + row * d;
          const C r = rrms[row];
          if (dx != nullptr) {
            // Σ u x with u = w dy
            const C dot =
                vec::sum<C>(d, [=](std::int64_t j) { return w[j] * static_cast<C>(g[j]) * static_cast<C>(in[j]); });
            const C factor = r * r * r * dot / static_cast<C>(static_cast<double>(d));
            for (std::int64_t j = 0; j < d; ++j)
              dx[row * d + j] = static_cast<X>(r * w[j] * static_cast<C>(g[j]) - factor * static_cast<C>(in[j]));
          }
          if (sums != nullptr)
            for (std::int64_t j = 0; j < d; ++j)
              sums[block * d + j] += static_cast<C>(g[j]) * (static_cast<C>(in[j]) * r);
        }
      });
  if (sums == nullptr) return;
  C* dw = a.dw.mutable_data<C>();
  for (std::int64_t j = 0; j < d; ++j) {
    C sum = a.add_dw ? dw[j] : C(0);
    for (std::int64_t block = 0; block < blocks; ++block) sum += sums[block * d + j];
    dw[j] = sum;
  }
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

void rms_norm_backward(const RmsNormBackwardArgs& a) {
  visit_pair(a.x.dtype(), a.dy.dtype(),
             [&](auto x, auto y) { backward<typename decltype(x)::type, typename decltype(y)::type>(a); });
}

}  // namespace blalm::kernels::reference
