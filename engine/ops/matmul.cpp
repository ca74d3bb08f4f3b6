// Matrix product (spec: everywhere): c = α op(a) op(b), batched over the leading axes.
//   without transposes:  da = α dc bᵀ        db = α aᵀ dc
//   a transposed:        da = α b dcᵀ        b transposed:  db = α dcᵀ a
// In general each gradient is the product of dc with the other operand, transposed so that its shape comes out.
#include "engine/kernels/matmul.h"

#include <numeric>
#include <utility>
#include <vector>

#include "engine/autograd/op.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

using kernels::MatmulArgs;
using kernels::matrices;

std::int64_t batch_of(const Shape& shape) {
  std::int64_t n = 1;
  for (int i = 0; i < shape.rank() - 2; ++i) n *= shape[i];
  return n;
}

std::string_view multiply(const Tensor& a, bool ta, const Tensor& b, bool tb, const Tensor& c, double alpha,
                          bool add = false) {
  return kernels::matmul({matrices(a, ta), matrices(b, tb), matrices(c), 1, batch_of(c.shape()), alpha, add});
}

// dx of x = op(x)·y or y·op(x): see the table above. `transposed` is x's own flag.
void gradient(const Tensor& left, bool tl, const Tensor& right, bool tr, bool transposed, const Tensor& into,
              double alpha, bool add) {
  if (!transposed)
    multiply(left, tl, right, tr, into, alpha, add);
  else
    multiply(right, !tr, left, !tl, into, alpha, add);  // (L R)ᵀ = Rᵀ Lᵀ
}

}  // namespace

Var matmul(const Var& a, const Var& b, MatmulOptions o, Where where) {
  check_floating("matmul", "a", a);
  check_floating("matmul", "b", b);
  check_same_dtype("matmul", "b", b, a);
  if (a.rank() < 2 || b.rank() < 2)
    fail("matmul", "operands with at least two axes", a.value().str() + " and " + b.value().str());
  // One matrix b for a whole batch: the batch is more rows of a.
  if (b.rank() == 2 && a.rank() > 2) {
    if (o.transpose_a)
      fail("matmul", "a not transposed when b is one matrix for a batch", a.value().str() + " and " + b.value().str());
    const Var flat =
        matmul(reshape(a, {a.value().numel() / std::max<std::int64_t>(1, a.dim(-1)), a.dim(-1)}, where), b, o, where);
    return reshape(flat, a.shape().with(-1, flat.dim(-1)), where);
  }
  const Shape &sa = a.shape(), &sb = b.shape();
  bool batches = a.rank() == b.rank();
  for (int i = 0; batches && i < a.rank() - 2; ++i) batches = sa[i] == sb[i];
  const std::int64_t m = sa.dim(o.transpose_a ? -1 : -2), k = sa.dim(o.transpose_a ? -2 : -1);
  const std::int64_t kb = sb.dim(o.transpose_b ? -1 : -2), n = sb.dim(o.transpose_b ? -2 : -1);
  if (!batches || k != kb)
    fail("matmul", "shapes [..., M, K] and [..., K, N] with equal leading axes",
         a.value().str() + (o.transpose_a ? " transposed" : "") + " and " + b.value().str() +
             (o.transpose_b ? " transposed" : ""));

  Op op("matmul", {a, b}, where);
  Tensor c = Tensor::empty(sa.with(-2, m).with(-1, n), a.dtype());
  op.ran(multiply(a.value(), o.transpose_a, b.value(), o.transpose_b, c, o.alpha));
  op.flops(2.0 * static_cast<double>(c.numel()) * static_cast<double>(k));
  return op.finish(c, {b.requires_grad() ? a.value() : Tensor(), a.requires_grad() ? b.value() : Tensor()},
                   [o](Backward& back) {
                     const Tensor& dc = back.dout();
                     if (back.want(0)) {
                       const auto [da, add] = back.slot(0);
                       gradient(dc, false, back.saved(1), !o.transpose_b, o.transpose_a, da, o.alpha, add);
                     }
                     if (back.want(1)) {
                       const auto [db, add] = back.slot(1);
                       gradient(back.saved(0), !o.transpose_a, dc, false, o.transpose_b, db, o.alpha, add);
                     }
                   });
}

// c[..., m, n] = alpha Σ_k a[..., m, k, 1] b[..., 1, k, n], by broadcasting; sums in the compute dtype.
Var composed::matmul(const Var& a, const Var& b, MatmulOptions o) {
  const auto swapped = [](const Var& x) {
    std::vector<int> axes(static_cast<std::size_t>(x.rank()));
    std::iota(axes.begin(), axes.end(), 0);
    std::swap(axes.end()[-1], axes.end()[-2]);
    return ops::transpose(x, axes);
  };
  const DType wide = compute_dtype(a.dtype());
  const Var left = ops::cast(o.transpose_a ? swapped(a) : a, wide),
            right = ops::cast(o.transpose_b ? swapped(b) : b, wide);
  const Var columns = ops::reshape(left, left.shape().with_inserted(left.rank(), 1));
  const Var rows = ops::reshape(right, right.shape().with_inserted(right.rank() - 2, 1));
  return ops::cast(ops::scale(ops::sum(ops::mul(columns, rows), -2), o.alpha), a.dtype());
}

}  // namespace blalm::ops
