#include "tests/engine/ops/census_list.h"

namespace blalm::census {
namespace {

using UnaryOp = Var (*)(const Var&, ops::Where);
using BinaryOp = Var (*)(const Var&, const Var&, ops::Where);

OpCensus unary(const std::string& name, UnaryOp f, Fill fill, Var (*composed)(const Var&) = nullptr, double far = 40) {
  OpCensus op{name};
  const auto add = [&](const std::string& label, const Shape& shape, Fill how) {
    Case c;
    c.name = label;
    c.inputs = {{"x", shape, how}};
    c.fused = one([f](auto in) { return f(in[0], ops::Where::current()); });
    if (composed != nullptr) c.composed = one([composed](auto in) { return composed(in[0]); });
    c.bf16 = how.stddev <= 2 && how.high <= 4;
    op.cases.push_back(c);
  };
  add("scalar", {}, fill);
  add("odd", {3, 7}, fill);
  add("many", {65, 700}, fill);
  add("empty", {0, 4}, fill);
  if (far > 0 && fill.low >= fill.high) add("far from 0", {33}, normal(0, far));
  op.errors = {{"ids", [f] { f(Tensor::zeros({2}, DType::i32), ops::Where::current()); }, "expected a floating dtype"},
               {"undefined", [f] { f(Var(), ops::Where::current()); }, "an undefined one"}};
  return op;
}

OpCensus binary(const std::string& name, BinaryOp f, Fill second) {
  OpCensus op{name};
  const auto add = [&](const std::string& label, const Shape& a, const Shape& b) {
    Case c;
    c.name = label;
    c.inputs = {{"a", a}, {"b", b, second}};
    c.fused = one([f](auto in) { return f(in[0], in[1], ops::Where::current()); });
    c.bf16 = true;
    op.cases.push_back(c);
  };
  add("same shape", {3, 5}, {3, 5});
  add("row", {4, 6}, {6});
  add("column", {4, 6}, {4, 1});
  add("outer product", {4, 1}, {1, 5});
  add("scalar left", {}, {3, 4});
  add("middle axis", {2, 3, 4}, {2, 1, 4});
  add("large", {129, 300}, {300});
  add("empty", {0, 4}, {4});
  op.errors = {{"do not broadcast",
                [f] {
                  f(f32({2, 3}), f32({2}), ops::Where::current());
                },
                "expected shapes that broadcast, got [2, 3] and [2]"},
               {"mixed", [f] { f(f32({2}), Tensor::zeros({2}, DType::f64), ops::Where::current()); },
                "expected operands of one dtype"}};
  return op;
}

OpCensus cast() {
  OpCensus op{"cast"};
  Case c;
  c.name = "to its own dtype";
  c.inputs = {{"x", {3, 5}}};
  c.fused = one([](auto in) { return ops::cast(ops::scale(in[0], 1), in[0].dtype()); });
  op.cases.push_back(c);
  c.name = "through bf16";
  c.bf16 = true;
  c.fused = one([](auto in) {
    if (in[0].dtype() == DType::f64 || in[0].dtype() == DType::c128) return ops::scale(in[0], 1);
    return ops::cast(ops::cast(in[0], DType::bf16), in[0].dtype());
  });
  c.f32_tolerance = 1e-2;
  op.cases.push_back(c);
  c.name = "through f64";
  c.bf16 = false;
  c.f32_tolerance = 1e-5;
  c.fused = one([](auto in) {
    if (in[0].dtype() == DType::c128) return ops::square(in[0]);
    return ops::cast(ops::square(ops::cast(in[0], DType::f64)), in[0].dtype());
  });
  op.cases.push_back(c);
  op.errors = {{"from c128", [] { ops::cast(Tensor::zeros({2}, DType::c128), DType::f64); },
                "expected bf16, f32 or f64 on both sides, got c128[2] to f64"},
               {"to i32", [] { ops::cast(Tensor::zeros({2}), DType::i32); }, "on both sides, got f32[2] to i32"}};
  return op;
}

}  // namespace

std::vector<OpCensus> elementwise() {
  std::vector<OpCensus> all = {
      binary("add", ops::add, normal()),
      binary("sub", ops::sub, normal()),
      binary("mul", ops::mul, normal()),
      binary("div", ops::div, uniform(0.5, 2)),
      binary("maximum", ops::maximum, normal()),
      unary(
          "add_scalar", [](const Var& x, ops::Where w) { return ops::add_scalar(x, 1.5, w); }, normal()),
      unary(
          "scale", [](const Var& x, ops::Where w) { return ops::scale(x, -0.75, w); }, normal()),
      unary("exp", ops::exp, normal(), nullptr, 0),
      unary("log", ops::log, uniform(0.1, 3)),
      unary("sqrt", ops::sqrt, uniform(0.1, 3)),
      unary("rsqrt", ops::rsqrt, uniform(0.1, 3)),
      unary("square", ops::square, normal()),
      unary("reciprocal", ops::reciprocal, uniform(0.5, 2)),
      unary("abs", ops::abs, normal()),
      unary("tanh", ops::tanh, normal(), nullptr, 0),
      unary("sigmoid", ops::sigmoid, normal()),
      unary("silu", ops::silu, normal(), ops::composed::silu),
      unary("log_sigmoid", ops::log_sigmoid, normal(), ops::composed::log_sigmoid),
      unary(
          "soft_cap", [](const Var& x, ops::Where w) { return ops::soft_cap(x, 15, w); }, normal(),
          [](const Var& x) { return ops::composed::soft_cap(x, 15); }),
      cast(),
  };
  for (OpCensus& op : all) {
    if (op.op == "silu") {  // holds the census itself to both ways to differentiate
      Case differences = op.cases[1];
      differences.name = "odd, central differences";
      differences.complex_step = false;
      op.cases.push_back(differences);
    }
    if (op.op == "soft_cap")
      op.errors.push_back({"cap of 0", [] { ops::soft_cap(f32({2}), 0); }, "[soft_cap] expected a cap above 0"});
  }
  return all;
}

}  // namespace blalm::census
