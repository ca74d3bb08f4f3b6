// Reductions along one axis, seen as the middle of [outer, n, inner].
//   sum:    y = Σ_k x_k              dx_k = dy
//   mean:   y = (1/n) Σ_k x_k        dx_k = dy / n
//   cumsum: y_k = Σ_{j≤k} x_j        dx_j = Σ_{k≥j} dy_k, the running sum from the other end
#include "engine/kernels/reduce.h"

#include "engine/autograd/op.h"
#include "engine/kernels/elementwise.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

// factor · (dy repeated along an axis of size 1 to `shape`).
Tensor repeat(const Tensor& dy, const Shape& shape, double factor) {
  Tensor dx = Tensor::empty(shape, dy.dtype());
  kernels::binary({kernels::Binary::mul, dy, Tensor::full(shape, factor, dy.dtype()), dx});
  return dx;
}

Var reduce_sum(std::string_view name, const Var& x, int possibly_negative, bool keep, double factor, Where where) {
  const int axis = x.shape().axis(possibly_negative);
  const Around s(x.shape(), axis);
  Op op(name, {x}, where);
  const Shape kept = x.shape().with(axis, 1);
  Tensor y = Tensor::empty(kept, x.dtype());
  op.ran(kernels::reduce({kernels::Reduce::sum, x.value(), y, s.outer, s.n, s.inner}));
  if (factor != 1) kernels::unary({kernels::Unary::scale, factor, y, y});
  op.flops(static_cast<double>(x.value().numel()));
  return op.finish(keep ? y : y.reshape(kept.without(axis)), {}, [shape = x.shape(), kept, factor](Backward& back) {
    back.give(0, repeat(back.dout().reshape(kept), shape, factor));
  });
}

}  // namespace

Var sum(const Var& x, int axis, bool keep, Where where) {
  check_floating("sum", "x", x);
  return reduce_sum("sum", x, axis, keep, 1, where);
}

Var mean(const Var& x, int axis, bool keep, Where where) {
  check_floating("mean", "x", x);
  const std::int64_t n = x.dim(axis);
  if (n == 0) fail("mean", "an axis that is not empty", x.value().str());
  return reduce_sum("mean", x, axis, keep, 1.0 / static_cast<double>(n), where);
}

Var sum_all(const Var& x, Where where) {
  check_floating("sum_all", "x", x);
  Op op("sum_all", {x}, where);
  const std::int64_t n = x.value().numel();
  Tensor y = Tensor::empty({}, x.dtype());
  op.ran(kernels::reduce({kernels::Reduce::sum, x.value().reshape({n}), y, 1, n, 1}));
  op.flops(static_cast<double>(n));
  return op.finish(y, {}, [shape = x.shape()](Backward& back) {
    const Tensor dy = back.dout();
    Tensor dx = Tensor::empty(shape, dy.dtype());
    kernels::binary({kernels::Binary::mul, dy, Tensor::full(shape, 1, dy.dtype()), dx});
    back.give(0, dx);
  });
}

Var cumsum(const Var& x, int possibly_negative, bool reverse, Where where) {
  check_floating("cumsum", "x", x);
  const int axis = x.shape().axis(possibly_negative);
  const Around s(x.shape(), axis);
  Op op("cumsum", {x}, where);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  op.ran(kernels::cumsum({x.value(), y, s.outer, s.n, s.inner, reverse}));
  op.flops(static_cast<double>(y.numel()));
  return op.finish(y, {}, [s, reverse](Backward& back) {
    Tensor dx = Tensor::empty(back.dout().shape(), back.dout().dtype());
    kernels::cumsum({back.dout(), dx, s.outer, s.n, s.inner, !reverse});
    back.give(0, dx);
  });
}

Tensor max_constant(const Tensor& x, int possibly_negative, bool keep) {
  const int axis = x.shape().axis(possibly_negative);
  const Around s(x.shape(), axis);
  Tensor y = Tensor::empty(keep ? x.shape().with(axis, 1) : x.shape().without(axis), x.dtype());
  kernels::reduce({kernels::Reduce::max, x, y, s.outer, s.n, s.inner});
  return y;
}

}  // namespace blalm::ops
