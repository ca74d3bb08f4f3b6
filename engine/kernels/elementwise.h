// Element-by-element functions of one tensor, and of two with NumPy broadcasting.
#pragma once

#include <string_view>

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// c is the constant of the function, where it has one.
enum class Unary {
  add_scalar,  // x + c
  scale,       // c x
  exp,
  log,
  sqrt,
  rsqrt,
  square,
  reciprocal,
  abs,  // gradient sign(x), 0 at 0
  tanh,
  sigmoid,
  silu,         // x sigmoid(x)
  log_sigmoid,  // -log(1 + e^-x)
  soft_cap,     // c tanh(x / c)
};
std::string_view name_of(Unary f);

enum class Binary { add, sub, mul, div, maximum };
std::string_view name_of(Binary f);

// y = f(x); same shape. The dtypes of x and y may differ when both are f32 or bf16.
struct UnaryArgs {
  Unary f;
  double c;
  Tensor x, y;
};
extern const Kernel<UnaryArgs> unary;

// dx = dy f'(x). `x` is the input of f, or its output for those functions whose derivative is a function of the output
// (see derivative_of_output).
struct UnaryBackwardArgs {
  Unary f;
  double c;
  Tensor x_or_y, dy, dx;
};
extern const Kernel<UnaryBackwardArgs> unary_backward;
bool derivative_of_output(Unary f);

// y = f(a, b), broadcast to the shape of y. All of one dtype, except that f32 and bf16 mix: y is then f32.
struct BinaryArgs {
  Binary f;
  Tensor a, b, y;
};
extern const Kernel<BinaryArgs> binary;

}  // namespace blalm::kernels
