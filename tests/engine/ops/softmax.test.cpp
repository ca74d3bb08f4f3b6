#include <doctest/doctest.h>

#include <cmath>

#include "tests/engine/ops/census_list.h"

namespace blalm::census {

std::vector<OpCensus> softmax() {
  OpCensus op{"softmax"};
  const auto add = [&](const std::string& name, const Shape& shape, Fill fill = normal()) -> Case& {
    Case c;
    c.name = name;
    c.inputs = {{"x", shape, fill}};
    c.fused = one([](auto in) { return ops::softmax(in[0]); });
    c.composed = one([](auto in) { return ops::composed::softmax(in[0]); });
    c.bf16 = true;
    return op.cases.emplace_back(c);
  };
  add("vector", {5});
  add("rows of 63", {3, 63});
  add("rows of 64", {2, 3, 64});
  add("rows of 65", {65, 65});
  add("many rows", {150, 100});
  add("far from 0", {4, 33}, normal(1e4, 1));
  add("large differences", {7, 40}, normal(0, 20));
  add("no rows", {0, 8});
  add("nothing in a row", {3, 0});
  op.errors = {{"scalar", [] { ops::softmax(f32({})); }, "[softmax] expected x with at least one axis, got f32[]"},
               {"ids", [] { ops::softmax(Tensor::zeros({3}, DType::i32)); }, "expected a floating dtype for x"}};
  return {op};
}

TEST_CASE("softmax of saturated rows is exact, and its sums are 1") {
  const float values[] = {-1e30F, 0, 200, -200, -3e38F, 3e38F, 0, 0, 5, 5, 5, 5};
  const Tensor y = ops::softmax(Tensor::from<float>({3, 4}, values)).value();
  const double expected[] = {0, 0, 1, 0, 0, 1, 0, 0, 0.25, 0.25, 0.25, 0.25};
  for (std::int64_t i = 0; i < 12; ++i) CHECK(y.at(i) == expected[i]);

  const Tensor x = Tensor::empty({9, 1001});
  Rng rng(3);
  rng.fill_normal(x, 0, 3);
  const Tensor p = ops::softmax(x).value();
  for (std::int64_t row = 0; row < 9; ++row) {
    double sum = 0;
    for (std::int64_t j = 0; j < 1001; ++j) sum += p.at(row * 1001 + j);
    CHECK(std::abs(sum - 1) < 1e-6);
  }
}

}  // namespace blalm::census
