#include <doctest/doctest.h>
#include <fmt/format.h>

#include "engine/core/error.h"
#include "tests/engine/ops/census_list.h"

namespace blalm::census {
namespace {

using ops::Modulation;

constexpr std::pair<Modulation, const char*> kKinds[] = {
    {Modulation::fixed, "fixed"}, {Modulation::tanh, "tanh"},     {Modulation::sigmoid, "sigmoid"},
    {Modulation::raw, "raw"},     {Modulation::convex, "convex"}, {Modulation::clamp, "clamp"}};

}  // namespace

std::vector<OpCensus> modulation() {
  OpCensus op{"modulate"};
  const auto add = [&](const std::string& name, Modulation kind, const Shape& shape, std::int64_t n, Fill alpha) {
    Case c;
    c.name = name;
    c.inputs = {{"linear", shape}, {"window", shape}};
    const bool fixed = kind == Modulation::fixed;
    if (!fixed) c.inputs.push_back({"alpha", {n}, as_gate(alpha)});
    c.fused = one([=](auto in) { return ops::modulate(in[0], in[1], fixed ? Var() : in[2], kind); });
    c.composed = one([=](auto in) { return ops::composed::modulate(in[0], in[1], fixed ? Var() : in[2], kind); });
    c.bf16 = true;
    op.cases.push_back(c);
  };
  for (const auto& [kind, name] : kKinds) {
    // Inside (0, 1) and clear of its ends, where clamp has no derivative; beyond them it has, and it is 0.
    const Fill alpha = kind == Modulation::clamp ? uniform(0.1, 0.9) : normal();
    for (const std::int64_t T : {1, 63, 64, 65, 100, 150})
      add(fmt::format("{}, layer, T = {}", name, T), kind, {2, T, 12}, 1, alpha);
    add(fmt::format("{}, head", name), kind, {1, 65, 4, 9}, 3, alpha);
    add(fmt::format("{}, channel", name), kind, {3, 20, 33}, 33, alpha);
    add(fmt::format("{}, vector", name), kind, {6}, 2, alpha);
    add(fmt::format("{}, no rows", name), kind, {0, 6}, 2, alpha);
  }
  add("clamp above 1", Modulation::clamp, {5, 6}, 2, uniform(1.5, 3));
  add("clamp below 0", Modulation::clamp, {5, 6}, 2, uniform(-3, -0.5));
  add("tanh, saturated", Modulation::tanh, {5, 6}, 2, uniform(2, 4));
  add("sigmoid, saturated", Modulation::sigmoid, {5, 6}, 2, uniform(-30, -20));
  op.errors = {
      {"window",
       [] {
         ops::modulate(f32({2, 4}), f32({4}), f32({1}), Modulation::tanh);
       },
       "[modulate] expected window of [2, 4], got f32[4]"},
      {"alpha does not divide",
       [] {
         ops::modulate(f32({2, 4}), f32({2, 4}), f32({3}), Modulation::tanh);
       },
       "[modulate] expected alpha [n] with n a divisor of 4 channels, got f32[3]"},
      {"empty alpha",
       [] {
         ops::modulate(f32({2, 4}), f32({2, 4}), f32({0}), Modulation::raw);
       },
       "n a divisor of 4 channels"},
      {"alpha of a fixed weight",
       [] {
         ops::modulate(f32({2, 4}), f32({2, 4}), f32({1}), Modulation::fixed);
       },
       "no alpha for a fixed weight"},
      {"no alpha",
       [] {
         ops::modulate(f32({2, 4}), f32({2, 4}), Var(), Modulation::convex);
       },
       "a tensor for alpha"},
      {"alpha in bf16",
       [] {
         ops::modulate(f32({2, 4}), f32({2, 4}), Tensor::zeros({1}, DType::bf16), Modulation::tanh);
       },
       "expected alpha in f32"},
  };
  return {op};
}

TEST_CASE("alpha of 0 is the pure linear branch under tanh, with a gradient that starts it") {
  Rng rng(1);
  const Tensor linear = Tensor::empty({7, 12}), window = Tensor::empty({7, 12});
  rng.fill_normal(linear, 0, 1);
  rng.fill_normal(window, 0, 1);
  Tape tape;
  const Var alpha = tape.leaf(Tensor::zeros({1}), "alpha");
  const Var y = ops::modulate(linear, window, alpha, Modulation::tanh);
  double sum = 0;
  for (std::int64_t i = 0; i < 84; ++i) {
    CHECK(y.value().at(i) == linear.at(i));
    sum += window.at(i);
  }
  tape.backward(ops::sum_all(y));
  CHECK(tape.grad(alpha).item() == doctest::Approx(sum));
}

TEST_CASE("each entry of alpha rules its own channels") {
  const float weights[] = {0, 1, 0.5};
  const Tensor y = ops::modulate(Tensor::full({1, 6}, 10), Tensor::full({1, 6}, 4), Tensor::from<float>({3}, weights),
                                 Modulation::clamp)
                       .value();
  const double expected[] = {10, 10, 14, 14, 12, 12};
  for (std::int64_t i = 0; i < 6; ++i) CHECK(y.at(i) == expected[i]);
}

}  // namespace blalm::census
