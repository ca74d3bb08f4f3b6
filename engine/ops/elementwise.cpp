// Functions of each element.
//   y = f(x)      dx = dy f'(x)
//   y = f(a, b)   da = dy ∂f/∂a, db = dy ∂f/∂b, summed over the axes along which an operand was repeated
#include "engine/autograd/op.h"
#include "engine/core/error.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/reduce.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

using kernels::Binary;
using kernels::Unary;

bool is_real(DType d) { return is_floating(d) && d != DType::c128; }
bool narrow(DType d) { return d == DType::f32 || d == DType::bf16; }

Tensor run(Binary f, const Tensor& a, const Tensor& b) {
  const DType dtype = a.dtype() == b.dtype() ? a.dtype() : DType::f32;
  Tensor y = Tensor::empty(broadcast(kernels::name_of(f).data(), a.shape(), b.shape()), dtype);
  kernels::binary({f, a, b, y});
  return y;
}

Tensor run(Unary f, const Tensor& x, double c = 0) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  kernels::unary({f, c, x, y});
  return y;
}

// Undoes a broadcast: sums `g` to `shape` and gives it `dtype`.
Tensor sum_to(Tensor g, const Shape& shape, DType dtype) {
  while (g.rank() > shape.rank()) {
    Tensor s = Tensor::empty(g.shape().without(0), g.dtype());
    kernels::reduce({kernels::Reduce::sum, g, s, 1, g.dim(0), s.numel()});
    g = s;
  }
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (g.dim(axis) == shape[axis]) continue;
    const Around a(g.shape(), axis);
    Tensor s = Tensor::empty(g.shape().with(axis, 1), g.dtype());
    kernels::reduce({kernels::Reduce::sum, g, s, a.outer, a.n, a.inner});
    g = s;
  }
  return g.to(dtype);
}

Tensor greater_or_equal(const Tensor& a, const Tensor& b, bool otherwise) {
  // 1 where max(a, b) is a, else 0; the complement when `otherwise`.
  const Tensor y = run(Binary::maximum, a, b);
  const Tensor full_a =
      a.shape() == y.shape() ? a.to(y.dtype()) : run(Binary::add, a, Tensor::zeros(y.shape(), y.dtype()));
  Tensor mask = Tensor::empty(y.shape(), y.dtype());
  visit_floating(y.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *p = full_a.data<T>(), *q = y.data<T>();
    T* m = mask.mutable_data<T>();
    for (std::int64_t i = 0; i < y.numel(); ++i)
      m[i] = static_cast<T>(static_cast<Compute<T>>((real_part(p[i]) == real_part(q[i])) != otherwise ? 1.0F : 0.0F));
  });
  return mask;
}

Var binary(Binary f, const Var& a, const Var& b, Where where) {
  const std::string_view name = kernels::name_of(f);
  check_floating(name, "a", a);
  check_floating(name, "b", b);
  if (a.dtype() != b.dtype() && !(narrow(a.dtype()) && narrow(b.dtype())))
    fail(name, "operands of one dtype", a.value().str() + " and " + b.value().str());
  Op op(name, {a, b}, where);
  Tensor y = run(f, a.value(), b.value());
  op.flops(static_cast<double>(y.numel()));
  const bool needs_values = f == Binary::mul || f == Binary::div || f == Binary::maximum;
  std::vector<Tensor> saved;
  if (needs_values && op.recording()) {
    // Each side is kept only for the sake of the other's gradient.
    const bool both = f != Binary::mul;
    saved = {both || b.requires_grad() ? a.value() : Tensor(), both || a.requires_grad() ? b.value() : Tensor()};
  }
  return op.finish(
      y, std::move(saved), [f, sa = a.shape(), sb = b.shape(), da = a.dtype(), db = b.dtype()](Backward& back) {
        const Tensor& dy = back.dout();
        if (back.want(0)) {
          Tensor g = dy;
          if (f == Binary::mul) g = run(Binary::mul, dy, back.saved(1));
          if (f == Binary::div) g = run(Binary::div, dy, back.saved(1));
          if (f == Binary::maximum) g = run(Binary::mul, dy, greater_or_equal(back.saved(0), back.saved(1), false));
          back.give(0, sum_to(g, sa, da));
        }
        if (back.want(1)) {
          Tensor g = dy;
          if (f == Binary::sub) g = run(Unary::scale, dy, -1);
          if (f == Binary::mul) g = run(Binary::mul, dy, back.saved(0));
          if (f == Binary::div) {  // -dy a / b²
            const Tensor& b_value = back.saved(1);
            g = run(Unary::scale,
                    run(Binary::div, run(Binary::div, run(Binary::mul, dy, back.saved(0)), b_value), b_value), -1);
          }
          if (f == Binary::maximum) g = run(Binary::mul, dy, greater_or_equal(back.saved(0), back.saved(1), true));
          back.give(1, sum_to(g, sb, db));
        }
      });
}

Var unary(Unary f, const Var& x, Where where, double c = 0) {
  const std::string_view name = kernels::name_of(f);
  check_floating(name, "x", x);
  Op op(name, {x}, where);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  op.ran(kernels::unary({f, c, x.value(), y}));
  op.flops(static_cast<double>(y.numel()));
  const bool constant_derivative = f == Unary::scale || f == Unary::add_scalar;
  Tensor saved = constant_derivative ? Tensor() : kernels::derivative_of_output(f) ? y : x.value();
  return op.finish(y, {saved}, [f, c](Backward& back) {
    const Tensor& dy = back.dout();
    if (f == Unary::add_scalar) {
      back.give(0, dy);
      return;
    }
    Tensor dx = Tensor::empty(dy.shape(), dy.dtype());
    kernels::unary_backward({f, c, back.saved(0).defined() ? back.saved(0) : dy, dy, dx});
    back.give(0, dx);
  });
}

}  // namespace

Var add(const Var& a, const Var& b, Where where) { return binary(Binary::add, a, b, where); }
Var sub(const Var& a, const Var& b, Where where) { return binary(Binary::sub, a, b, where); }
Var mul(const Var& a, const Var& b, Where where) { return binary(Binary::mul, a, b, where); }
Var div(const Var& a, const Var& b, Where where) { return binary(Binary::div, a, b, where); }
Var maximum(const Var& a, const Var& b, Where where) { return binary(Binary::maximum, a, b, where); }

Var add_scalar(const Var& x, double c, Where where) { return unary(Unary::add_scalar, x, where, c); }
Var scale(const Var& x, double c, Where where) { return unary(Unary::scale, x, where, c); }
Var exp(const Var& x, Where where) { return unary(Unary::exp, x, where); }
Var log(const Var& x, Where where) { return unary(Unary::log, x, where); }
Var sqrt(const Var& x, Where where) { return unary(Unary::sqrt, x, where); }
Var rsqrt(const Var& x, Where where) { return unary(Unary::rsqrt, x, where); }
Var square(const Var& x, Where where) { return unary(Unary::square, x, where); }
Var reciprocal(const Var& x, Where where) { return unary(Unary::reciprocal, x, where); }
Var abs(const Var& x, Where where) { return unary(Unary::abs, x, where); }
Var tanh(const Var& x, Where where) { return unary(Unary::tanh, x, where); }
Var sigmoid(const Var& x, Where where) { return unary(Unary::sigmoid, x, where); }

Var silu(const Var& x, Where where) {
  if (kernel_policy().composed) return composed::silu(x);
  return unary(Unary::silu, x, where);
}

Var log_sigmoid(const Var& x, Where where) {
  if (kernel_policy().composed) return composed::log_sigmoid(x);
  return unary(Unary::log_sigmoid, x, where);
}

Var soft_cap(const Var& x, double cap, Where where) {
  if (!(cap > 0)) throw ConfigError(expected_got("soft_cap", "a cap above 0", std::to_string(cap)));
  if (kernel_policy().composed) return composed::soft_cap(x, cap);
  return unary(Unary::soft_cap, x, where, cap);
}

Var cast(const Var& x, DType dtype, Where where) {
  check_floating("cast", "x", x);
  if (dtype == x.dtype()) return x;
  if (!is_real(dtype) || !is_real(x.dtype()))
    fail("cast", "bf16, f32 or f64 on both sides", x.value().str() + " to " + std::string(name_of(dtype)));
  Op op("cast", {x}, where);
  return op.finish(x.value().to(dtype), {}, [from = x.dtype()](Backward& back) { back.give(0, back.dout().to(from)); });
}

namespace composed {

Var silu(const Var& x) { return ops::mul(x, ops::sigmoid(x)); }
// -log(1 + e^-x): overflows for x far below 0, which the fused form does not.
Var log_sigmoid(const Var& x) { return ops::scale(ops::log(ops::add_scalar(ops::exp(ops::scale(x, -1)), 1)), -1); }
Var soft_cap(const Var& x, double cap) { return ops::scale(ops::tanh(ops::scale(x, 1 / cap)), cap); }

}  // namespace composed
}  // namespace blalm::ops
