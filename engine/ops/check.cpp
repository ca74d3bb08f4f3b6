#include "engine/ops/check.h"

#include <fmt/format.h>

#include "engine/core/error.h"

namespace blalm::ops {

void fail(std::string_view op, std::string_view expected, std::string_view got, std::string_view hint) {
  throw ShapeError(expected_got(op, expected, got, hint));
}

void check_floating(std::string_view op, std::string_view name, const Var& x) {
  if (!x.defined()) fail(op, fmt::format("a tensor for {}", name), "an undefined one");
  if (!is_floating(x.dtype())) fail(op, fmt::format("a floating dtype for {}", name), x.value().str());
}

void check_rank(std::string_view op, std::string_view name, const Var& x, int rank) {
  check_floating(op, name, x);
  if (x.rank() != rank) fail(op, fmt::format("{} with {} axes", name, rank), x.value().str());
}

void check_shape(std::string_view op, std::string_view name, const Tensor& x, const Shape& expected) {
  if (!x.defined()) fail(op, fmt::format("{} of {}", name, expected.str()), "an undefined tensor");
  if (x.shape() != expected) fail(op, fmt::format("{} of {}", name, expected.str()), x.str());
}

void check_same_dtype(std::string_view op, std::string_view name, const Var& x, const Var& like) {
  if (x.dtype() != like.dtype()) fail(op, fmt::format("{} in {}", name, name_of(like.dtype())), x.value().str());
}

void check_dtype(std::string_view op, std::string_view name, const Tensor& x, DType expected) {
  if (!x.defined() || x.dtype() != expected) fail(op, fmt::format("{} in {}", name, name_of(expected)), x.str());
}

Around::Around(const Shape& shape, int axis) : n(shape[axis]) {
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
}

Tensor as_rows(const Tensor& x) {
  const std::int64_t width = x.dim(-1);
  return x.reshape({width == 0 ? x.shape().without(-1).numel() : x.numel() / width, width});
}

}  // namespace blalm::ops
