#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "tests/engine/ops/census_list.h"

namespace blalm::census {

std::vector<OpCensus> swiglu() {
  OpCensus op{"swiglu"};
  const auto add = [&](const std::string& name, const Shape& shape, Fill gate = normal(), Fill up = normal()) -> Case& {
    Case c;
    c.name = name;
    c.inputs = {{"gate", shape, gate}, {"up", shape, up}};
    c.fused = one([](auto in) { return ops::swiglu(in[0], in[1]); });
    c.composed = one([](auto in) { return ops::composed::swiglu(in[0], in[1]); });
    c.bf16 = true;
    return op.cases.emplace_back(c);
  };
  add("scalar", {});
  add("odd", {3, 7});
  for (const std::int64_t T : {1, 63, 64, 65, 100, 150}) add(fmt::format("rows of 48, T = {}", T), {2, T, 48});
  add("gates far from 0", {5, 33}, normal(0, 100));
  add("large values", {5, 33}, normal(0, 3), normal(0, 1e6));
  add("empty", {0, 4});
  op.cases.push_back(saved_later(op.cases[1]));
  op.errors = {{"shapes",
                [] {
                  ops::swiglu(f32({2, 3}), f32({3}));
                },
                "[swiglu] expected up of [2, 3], got f32[3]"},
               {"dtypes", [] { ops::swiglu(f32({2}), Tensor::zeros({2}, DType::bf16)); }, "expected up in f32"}};
  return {op};
}

TEST_CASE("shut and open gates: no overflow, no NaN") {
  const float gates[] = {-1e30F, -200, -89, 0, 89, 200, 1e30F};
  const Tensor gate = Tensor::from<float>({7}, gates), y = ops::swiglu(gate, Tensor::full({7}, 3)).value();
  const double open[] = {0, 0, 0, 0.5, 1, 1, 1};
  for (std::int64_t i = 0; i < 7; ++i)
    CHECK(std::abs(y.at(i) - 3 * open[i] * gate.at(i)) <= 1e-6 * std::abs(gate.at(i)));
}

}  // namespace blalm::census
