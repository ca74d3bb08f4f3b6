#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "census_list.h"

namespace blalm::census {

std::vector<OpCensus> gate() {
  OpCensus op{"sigmoid_gate"};
  const auto add = [&](const std::string& name, const Shape& shape, Fill x = normal(), Fill gate = normal()) -> Case& {
    Case c;
    c.name = name;
    c.inputs = {{"x", shape, x}, {"gate", shape, gate}};
    c.fused = one([](auto in) { return ops::sigmoid_gate(in[0], in[1]); });
    c.composed = one([](auto in) { return ops::composed::sigmoid_gate(in[0], in[1]); });
    c.bf16 = true;
    return op.cases.emplace_back(c);
  };
  add("scalar", {});
  add("odd", {3, 7});
  for (const std::int64_t T : {1, 63, 64, 65, 100, 150}) add(fmt::format("rows of 48, T = {}", T), {2, T, 48});
  add("gates far from 0", {5, 33}, normal(), normal(0, 30));
  add("large values", {5, 33}, normal(0, 1e6));
  add("empty", {0, 4});
  op.cases.push_back(saved_later(op.cases[1]));
  op.errors = {
      {"shapes",
       [] {
         ops::sigmoid_gate(f32({2, 3}), f32({3}));
       },
       "[sigmoid_gate] expected gate of [2, 3], got f32[3]"},
      {"dtypes", [] { ops::sigmoid_gate(f32({2}), Tensor::zeros({2}, DType::bf16)); }, "expected gate in f32"}};
  return {op};
}

TEST_CASE("shut and open gates: no overflow, no NaN") {
  const float gates[] = {-1e30F, -200, -89, 0, 89, 200, 1e30F};
  const Tensor gate = Tensor::from<float>({7}, gates), x = Tensor::full({7}, 3);
  const Tensor y = ops::sigmoid_gate(x, gate).value(), z = ops::swiglu(gate, x).value();
  const double open[] = {0, 0, 0, 0.5, 1, 1, 1};
  for (std::int64_t i = 0; i < 7; ++i) {
    CHECK(std::abs(y.at(i) - 3 * open[i]) < 1e-6);
    CHECK(std::abs(z.at(i) - 3 * open[i] * static_cast<double>(gates[i])) <=
          1e-6 * std::abs(static_cast<double>(gates[i])));
  }
}

}  // namespace blalm::census
