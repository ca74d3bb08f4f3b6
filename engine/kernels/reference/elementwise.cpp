#include "engine/kernels/elementwise.h"

#include <array>
#include <cmath>

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

template <class C>
C sign(C x) {
  const auto r = real_part(x);
  return C(static_cast<decltype(r)>((r > 0) - (r < 0)));
}

template <Unary F, class C>
C value(C x, C c) {
  if constexpr (F == Unary::add_scalar) return x + c;
  if constexpr (F == Unary::scale) return c * x;
  if constexpr (F == Unary::exp) return std::exp(x);
  if constexpr (F == Unary::log) return std::log(x);
  if constexpr (F == Unary::sqrt) return std::sqrt(x);
  if constexpr (F == Unary::rsqrt) return C(1) / std::sqrt(x);
  if constexpr (F == Unary::square) return x * x;
  if constexpr (F == Unary::reciprocal) return C(1) / x;
  if constexpr (F == Unary::abs) return x * sign(x);
  if constexpr (F == Unary::tanh) return std::tanh(x);
  if constexpr (F == Unary::sigmoid) return vec::logistic(x);
  if constexpr (F == Unary::silu) return x * vec::logistic(x);
  if constexpr (F == Unary::log_sigmoid) return vec::log_sigmoid(x);
  if constexpr (F == Unary::soft_cap) return c * std::tanh(x / c);
}

// s is x, or y where derivative_of_output(F).
template <Unary F, class C>
C derivative(C s, C c) {
  if constexpr (F == Unary::add_scalar) return C(1);
  if constexpr (F == Unary::scale) return c;
  if constexpr (F == Unary::exp) return s;
  if constexpr (F == Unary::log) return C(1) / s;
  if constexpr (F == Unary::sqrt) return C(0.5) / s;
  if constexpr (F == Unary::rsqrt) return C(-0.5) * s * s * s;
  if constexpr (F == Unary::square) return C(2) * s;
  if constexpr (F == Unary::reciprocal) return -s * s;
  if constexpr (F == Unary::abs) return sign(s);
  if constexpr (F == Unary::tanh) return C(1) - s * s;
  if constexpr (F == Unary::sigmoid) return s * (C(1) - s);
  if constexpr (F == Unary::silu) {
    const C p = vec::logistic(s);
    return p * (C(1) + s * (C(1) - p));
  }
  if constexpr (F == Unary::log_sigmoid) return vec::logistic(-s);
  if constexpr (F == Unary::soft_cap) return C(1) - (s / c) * (s / c);
}

// Calls f(std::integral_constant<Unary, F>) for the function at run time.
template <class Call, std::size_t... I>
void with_function(Unary f, Call&& call, std::index_sequence<I...>) {
  (void)((static_cast<std::size_t>(f) == I && (call(std::integral_constant<Unary, static_cast<Unary>(I)>{}), true)) ||
         ...);
}
template <class Call>
void with_function(Unary f, Call&& call) {
  with_function(f, call, std::make_index_sequence<static_cast<std::size_t>(Unary::soft_cap) + 1>{});
}

template <class C>
C constant(double c) {
  return static_cast<C>(c);
}

template <class X, class Y>
void run_unary(const UnaryArgs& a) {
  using C = Compute<X>;
  const X* x = a.x.data<X>();
  Y* y = a.y.mutable_data<Y>();
  const C c = constant<C>(a.c);
  with_function(a.f, [&](auto f) {
    parallel_for(a.x.numel(), 8.0, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) y[i] = static_cast<Y>(value<f.value>(static_cast<C>(x[i]), c));
    });
  });
}

// Strides of an operand seen through the broadcast shape: 0 along axes that it repeats.
std::array<std::int64_t, kMaxRank> broadcast_strides(const Shape& operand, const Shape& result) {
  std::array<std::int64_t, kMaxRank> strides{};
  std::int64_t step = 1;
  for (int i = operand.rank() - 1; i >= 0; --i) {
    const int axis = i + result.rank() - operand.rank();
    strides[static_cast<std::size_t>(axis)] = operand[i] == 1 ? 0 : step;
    step *= operand[i];
  }
  return strides;
}

template <class C>
C apply(Binary f, C a, C b) {
  switch (f) {
    case Binary::add: return a + b;
    case Binary::sub: return a - b;
    case Binary::mul: return a * b;
    case Binary::div: return a / b;
    case Binary::maximum: return real_part(a) >= real_part(b) ? a : b;
  }
  return a;
}

template <class A, class B, class Y>
void run_binary(const BinaryArgs& args) {
  using C = Compute<Y>;
  const A* a = args.a.data<A>();
  const B* b = args.b.data<B>();
  Y* y = args.y.mutable_data<Y>();
  const Shape& shape = args.y.shape();
  const int rank = shape.rank();
  // The last axis is the inner loop; the others are counted down from the row number.
  const std::int64_t inner = rank == 0 ? 1 : shape[rank - 1], rows = inner == 0 ? 0 : args.y.numel() / inner;
  const auto sa = broadcast_strides(args.a.shape(), shape), sb = broadcast_strides(args.b.shape(), shape);
  const std::size_t last = static_cast<std::size_t>(rank == 0 ? 0 : rank - 1);
  const std::int64_t ia = rank == 0 ? 0 : sa[last], ib = rank == 0 ? 0 : sb[last];
  const Binary f = args.f;
  parallel_for(rows, static_cast<double>(inner), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      std::int64_t oa = 0, ob = 0, rest = row;
      for (int axis = rank - 2; axis >= 0; --axis) {
        const std::int64_t at = rest % shape[axis];
        rest /= shape[axis];
        oa += at * sa[static_cast<std::size_t>(axis)];
        ob += at * sb[static_cast<std::size_t>(axis)];
      }
      for (std::int64_t j = 0; j < inner; ++j)
        y[row * inner + j] =
            static_cast<Y>(apply<C>(f, static_cast<C>(a[oa + j * ia]), static_cast<C>(b[ob + j * ib])));
    }
  });
}

}  // namespace

void unary(const UnaryArgs& a) {
  visit_floating(a.x.dtype(), [&](auto tag) {
    using X = typename decltype(tag)::type;
    if (a.y.dtype() == a.x.dtype())
      run_unary<X, X>(a);
    else if constexpr (std::is_same_v<X, float>)
      run_unary<float, BFloat16>(a);
    else if constexpr (std::is_same_v<X, BFloat16>)
      run_unary<BFloat16, float>(a);
  });
}

void unary_backward(const UnaryBackwardArgs& a) {
  visit_floating(a.dx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* s = a.x_or_y.data<T>();
    const T* dy = a.dy.data<T>();
    T* dx = a.dx.mutable_data<T>();
    const C c = constant<C>(a.c);
    with_function(a.f, [&](auto f) {
      parallel_for(a.dx.numel(), 8.0, [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
          dx[i] = static_cast<T>(static_cast<C>(dy[i]) * derivative<f.value>(static_cast<C>(s[i]), c));
      });
    });
  });
}

void binary(const BinaryArgs& a) {
  visit_floating(a.y.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, float>) {
      const bool a16 = a.a.dtype() == DType::bf16, b16 = a.b.dtype() == DType::bf16;
      if (a16 && b16)
        run_binary<BFloat16, BFloat16, float>(a);
      else if (a16)
        run_binary<BFloat16, float, float>(a);
      else if (b16)
        run_binary<float, BFloat16, float>(a);
      else
        run_binary<float, float, float>(a);
    } else {
      run_binary<T, T, T>(a);
    }
  });
}

}  // namespace blalm::kernels::reference
