#include "engine/kernels/elementwise.h"

namespace blalm::kernels {

std::string_view name_of(Unary f) {
  constexpr std::string_view names[] = {"add_scalar", "scale", "exp",  "log",     "sqrt", "rsqrt",       "square",
                                        "reciprocal", "abs",   "tanh", "sigmoid", "silu", "log_sigmoid", "soft_cap"};
  return names[static_cast<int>(f)];
}

std::string_view name_of(Binary f) {
  constexpr std::string_view names[] = {"add", "sub", "mul", "div", "maximum"};
  return names[static_cast<int>(f)];
}

bool derivative_of_output(Unary f) {
  switch (f) {
    case Unary::exp:
    case Unary::sqrt:
    case Unary::rsqrt:
    case Unary::reciprocal:
    case Unary::tanh:
    case Unary::sigmoid:
    case Unary::soft_cap: return true;
    default: return false;
  }
}

}  // namespace blalm::kernels
