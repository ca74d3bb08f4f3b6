// What ops share: checks of arguments, which throw ShapeError tagged with the op's name, and ways to see a tensor.
#pragma once

#include <string_view>

#include "engine/autograd/var.h"

namespace blalm::ops {

void check_floating(std::string_view op, std::string_view name, const Var& x);
void check_rank(std::string_view op, std::string_view name, const Var& x, int rank);
void check_shape(std::string_view op, std::string_view name, const Tensor& x, const Shape& expected);
// x has the dtype of `like`.
void check_same_dtype(std::string_view op, std::string_view name, const Var& x, const Var& like);
void check_dtype(std::string_view op, std::string_view name, const Tensor& x, DType expected);
// "[op] expected <expected>, got <got>".
[[noreturn]] void fail(std::string_view op, std::string_view expected, std::string_view got,
                       std::string_view hint = {});

// A tensor around one axis: [outer, n, inner].
struct Around {
  Around(const Shape& shape, int axis);

  std::int64_t outer = 1, n = 1, inner = 1;
};

// [rows, width]: all axes but the last folded into one. A view.
Tensor as_rows(const Tensor& x);

}  // namespace blalm::ops
