// Moving elements without changing them. Along one axis, a tensor is seen as [outer, n, inner].
//   reshape:       the same elements under another shape; dx is dy under the old one
//   transpose:     y's axis i is x's axis axes[i]; dx is dy under the inverse permutation
//   concat:        parts [outer, n_i, inner] -> [outer, Σ n_i, inner]; each part's gradient is its piece of dy
//   slice, split:  pieces of x; dx is 0 outside the pieces that got a gradient
//   repeat_heads:  y[b, t, h·times + r] = x[b, t, h]; dx[b, t, h] = Σ_r dy[b, t, h·times + r]
#include <fmt/format.h>

#include <numeric>

#include "engine/autograd/op.h"
#include "engine/kernels/copy.h"
#include "engine/kernels/reduce.h"
#include "engine/kernels/transpose.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

using Axes = std::array<int, kMaxRank>;

void check_defined(std::string_view op, const Var& x) {
  if (!x.defined()) fail(op, "a tensor for x", "an undefined one");
}

// The blocks that [begin, …) of an axis covers.
kernels::Blocks blocks(const Around& a, const Tensor& whole, std::int64_t begin) {
  return {whole, begin * a.inner, a.n * a.inner};
}

// [begin, end) of an axis: a view where that is one run of memory, else a copy, and then `implementation` names it.
Tensor piece(const Tensor& x, int axis, std::int64_t begin, std::int64_t end, std::string_view& implementation) {
  const Around a(x.shape(), axis);
  const Shape shape = x.shape().with(axis, end - begin);
  if (a.outer == 1) return x.reshape({a.n, a.inner}).rows(begin, end).reshape(shape);
  Tensor y = Tensor::empty(shape, x.dtype());
  const std::int64_t size = (end - begin) * a.inner;
  implementation = kernels::copy({blocks(a, x, begin), {y, 0, size}, a.outer, size});
  return y;
}

// Writes dy, the gradient of what begins at `begin` of the axis, into its place in dx.
void put_piece(const Tensor& dy, const Tensor& dx, int axis, std::int64_t begin, bool add) {
  const Around a(dx.shape(), axis);
  const std::int64_t size = dy.dim(axis) * a.inner;
  kernels::copy({{dy, 0, size}, blocks(a, dx, begin), a.outer, size, add});
}

Tensor permuted(const Tensor& x, const Axes& axes, std::string_view* implementation = nullptr) {
  Shape shape = x.shape();
  for (int i = 0; i < x.rank(); ++i) shape = shape.with(i, x.shape()[axes[static_cast<std::size_t>(i)]]);
  Tensor y = Tensor::empty(shape, x.dtype());
  const std::string_view name = kernels::transpose({x, y, axes});
  if (implementation != nullptr) *implementation = name;
  return y;
}

}  // namespace

Var reshape(const Var& x, const Shape& shape, Where where) {
  check_defined("reshape", x);
  Op op("reshape", {x}, where);
  Tensor y = x.value().reshape(shape);
  if (!op.recording()) return y;  // unlike a new tensor, a view of parameters must not count as made in inference mode
  op.ran("view");
  return op.finish(y, {}, [from = x.shape()](Backward& back) { back.give(0, back.dout().reshape(from)); });
}

Var transpose(const Var& x, std::span<const int> axes, Where where) {
  check_defined("transpose", x);
  const int rank = x.rank();
  Axes forward{}, inverse{};
  inverse.fill(-1);
  bool valid = static_cast<int>(axes.size()) == rank;
  for (std::size_t i = 0; valid && i < axes.size(); ++i) {
    const int axis = axes[i] < 0 ? axes[i] + rank : axes[i];
    valid = axis >= 0 && axis < rank && inverse[static_cast<std::size_t>(axis)] == -1;
    if (!valid) break;
    forward[i] = axis;
    inverse[static_cast<std::size_t>(axis)] = static_cast<int>(i);
  }
  if (!valid)
    fail("transpose", fmt::format("each of the {} axes of {} once", rank, x.value().str()),
         fmt::format("[{}]", fmt::join(axes, ", ")));
  Op op("transpose", {x}, where);
  std::string_view implementation;
  Tensor y = permuted(x.value(), forward, &implementation);
  op.ran(implementation);
  return op.finish(y, {}, [inverse](Backward& back) { back.give(0, permuted(back.dout(), inverse)); });
}

Var transpose(const Var& x, std::initializer_list<int> axes, Where where) {
  return transpose(x, std::span<const int>(axes.begin(), axes.size()), where);
}

Var concat(std::span<const Var> parts, int possibly_negative, Where where) {
  if (parts.empty()) fail("concat", "at least one part", "none");
  for (const Var& p : parts) check_defined("concat", p);
  const Var& first = parts[0];
  const int axis = first.shape().axis(possibly_negative);
  std::int64_t n = 0;
  for (const Var& p : parts) {
    check_same_dtype("concat", "all parts", p, first);
    if (p.rank() != first.rank() || p.shape().with(axis, 0) != first.shape().with(axis, 0))
      fail("concat", fmt::format("parts that differ along axis {} alone", axis),
           first.value().str() + " and " + p.value().str());
    n += p.shape()[axis];
  }
  Op op("concat", parts, where);
  Tensor y = Tensor::empty(first.shape().with(axis, n), first.dtype());
  const Around a(y.shape(), axis);
  std::int64_t begin = 0;
  for (const Var& p : parts) {
    const std::int64_t size = p.shape()[axis] * a.inner;
    op.ran(kernels::copy({{p.value(), 0, size}, blocks(a, y, begin), a.outer, size}));
    begin += p.shape()[axis];
  }
  std::vector<std::int64_t> sizes;
  for (const Var& p : parts) sizes.push_back(p.shape()[axis]);
  return op.finish(y, {}, [axis, sizes = std::move(sizes)](Backward& back) {
    const Tensor& dy = back.dout();
    const Around around(dy.shape(), axis);
    std::int64_t from = 0;
    for (std::size_t i = 0; i < sizes.size(); from += sizes[i], ++i) {
      if (!back.want(static_cast<int>(i))) continue;
      const auto [dx, add] = back.slot(static_cast<int>(i));
      const std::int64_t size = sizes[i] * around.inner;
      kernels::copy({blocks(around, dy, from), {dx, 0, size}, around.outer, size, add});
    }
  });
}

Var slice(const Var& x, int possibly_negative, std::int64_t begin, std::int64_t end, Where where) {
  check_defined("slice", x);
  const int axis = x.shape().axis(possibly_negative);
  if (begin < 0 || end < begin || end > x.shape()[axis])
    fail("slice", fmt::format("a range inside axis {} of {}", axis, x.value().str()),
         fmt::format("[{}, {})", begin, end));
  Op op("slice", {x}, where);
  std::string_view implementation = "view";
  Tensor y = piece(x.value(), axis, begin, end, implementation);
  if (!op.recording()) return y;
  op.ran(implementation);
  return op.finish(y, {}, [axis, begin](Backward& back) {
    const auto [dx, add] = back.slot(0);
    if (!add) dx.fill(0);
    put_piece(back.dout(), dx, axis, begin, add);
  });
}

std::vector<Var> split(const Var& x, std::span<const std::int64_t> sizes, int possibly_negative, Where where) {
  check_defined("split", x);
  const int axis = x.shape().axis(possibly_negative);
  bool valid = !sizes.empty();
  for (const std::int64_t s : sizes) valid = valid && s >= 0 && s <= x.shape()[axis];
  if (!valid || std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}) != x.shape()[axis])
    fail("split", fmt::format("sizes that make up axis {} of {}", axis, x.value().str()),
         fmt::format("[{}]", fmt::join(sizes, ", ")));
  Op op("split", {x}, where);
  std::string_view implementation = "view";
  std::vector<Tensor> outputs;
  std::vector<std::int64_t> begins;
  std::int64_t begin = 0;
  for (const std::int64_t size : sizes) {
    outputs.push_back(piece(x.value(), axis, begin, begin + size, implementation));
    begins.push_back(begin);
    begin += size;
  }
  if (!op.recording()) return {outputs.begin(), outputs.end()};
  op.ran(implementation);
  return op.finish(outputs, {}, [axis, begins = std::move(begins)](Backward& back) {
    const auto [dx, add] = back.slot(0);
    bool all = true;
    for (std::size_t i = 0; i < begins.size(); ++i) all = all && back.has_dout(static_cast<int>(i));
    if (!add && !all) dx.fill(0);
    for (std::size_t i = 0; i < begins.size(); ++i)
      if (back.has_dout(static_cast<int>(i))) put_piece(back.dout(static_cast<int>(i)), dx, axis, begins[i], add);
  });
}

Var repeat_heads(const Var& x, std::int64_t times, Where where) {
  check_rank("repeat_heads", "x", x, 4);
  if (times < 1) fail("repeat_heads", "at least 1 repetition", fmt::format("{}", times));
  if (times == 1) return x;
  Op op("repeat_heads", {x}, where);
  const std::int64_t heads = x.dim(0) * x.dim(1) * x.dim(2), width = x.dim(3);
  Tensor y = Tensor::empty(x.shape().with(2, x.dim(2) * times), x.dtype());
  for (std::int64_t r = 0; r < times; ++r)
    op.ran(kernels::copy({{x.value(), 0, width}, {y, r * width, times * width}, heads, width}));
  return op.finish(y, {}, [shape = x.shape(), heads, times, width](Backward& back) {
    Tensor dx = Tensor::empty(shape, back.dout().dtype());
    kernels::reduce({kernels::Reduce::sum, back.dout(), dx, heads, times, width});
    back.give(0, dx);
  });
}

}  // namespace blalm::ops
