#include <doctest/doctest.h>

#include "tests/engine/ops/census_list.h"

namespace blalm::census {
namespace {

OpCensus along_axis(const std::string& name, Var (*f)(const Var&, int, bool)) {
  OpCensus op{name};
  const auto add = [&](const std::string& label, const Shape& shape, int axis, bool keep) {
    Case c;
    c.name = label;
    c.inputs = {{"x", shape}};
    c.fused = one([=](auto in) { return f(in[0], axis, keep); });
    c.bf16 = true;
    op.cases.push_back(c);
  };
  add("first", {3, 4}, 0, false);
  add("last, kept", {3, 4}, -1, true);
  add("middle", {2, 65, 3}, 1, false);
  add("large", {150, 300}, 0, true);
  add("of one", {4, 1}, 1, false);
  add("no rows", {0, 5}, 1, false);
  op.errors = {{"axis", [f] { f(f32({2, 3}), 2, false); }, "expected an axis in [-2, 2), got 2 of [2, 3]"}};
  return op;
}

}  // namespace

std::vector<OpCensus> reduce() {
  OpCensus sum = along_axis("sum", [](const Var& x, int axis, bool keep) { return ops::sum(x, axis, keep); });
  OpCensus mean = along_axis("mean", [](const Var& x, int axis, bool keep) { return ops::mean(x, axis, keep); });
  mean.errors.push_back({"empty axis", [] { ops::mean(f32({0, 3}), 0); }, "[mean] expected an axis that is not empty"});

  OpCensus all{"sum_all"};
  for (const Shape& shape : {Shape{}, Shape{7}, Shape{2, 3, 4}, Shape{0, 3}}) {
    Case c;
    c.name = shape.str();
    c.inputs = {{"x", shape}};
    c.fused = one([](auto in) { return ops::sum_all(in[0]); });
    all.cases.push_back(c);
  }

  OpCensus cumsum{"cumsum"};
  for (const bool reverse : {false, true})
    for (const Shape& shape : {Shape{1, 1}, Shape{2, 65}, Shape{3, 0}, Shape{4, 5, 2}}) {
      Case c;
      c.name = shape.str() + (reverse ? " reverse" : "");
      c.inputs = {{"x", shape}};
      c.fused = one([reverse](auto in) { return ops::cumsum(in[0], 1, reverse); });
      cumsum.cases.push_back(c);
    }

  // No gradient by design: the case has no input to differentiate.
  OpCensus max{"max_constant"};
  Case c;
  c.name = "middle axis";
  c.inputs = {{"x", {2, 5, 3}, normal(), false}};
  c.fused = one([](auto in) { return Var(ops::max_constant(in[0].value(), 1)); });
  max.cases.push_back(c);
  return {sum, mean, all, cumsum, max};
}

TEST_CASE("max_constant finds the largest value along an axis") {
  const float values[] = {1, 5, -2, -7, -3, -9};
  const Tensor x = Tensor::from<float>({2, 3}, values);
  CHECK(ops::max_constant(x, 1).at(0) == 5);
  CHECK(ops::max_constant(x, 1).at(1) == -3);
  CHECK(ops::max_constant(x, 0, true).shape() == Shape{1, 3});
  CHECK(ops::max_constant(x, 0).at(2) == -2);
}

}  // namespace blalm::census
