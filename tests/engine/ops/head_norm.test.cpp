#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "engine/kernels/kernel.h"
#include "tests/engine/ops/census_list.h"

namespace blalm::census {

namespace {

using ops::HeadNormKind;
using ops::Modulation;

constexpr std::pair<HeadNormKind, const char*> kNorms[] = {
    {HeadNormKind::layer, "layer"}, {HeadNormKind::rms, "rms"}, {HeadNormKind::none, "none"}};
constexpr std::pair<Modulation, const char*> kModulations[] = {
    {Modulation::fixed, "fixed"}, {Modulation::tanh, "tanh"}, {Modulation::convex, "convex"}};

// Inputs: x, weight unless there is no norm, gate, then window and, unless fixed, alpha [n] of each side.
Case gated_case(const std::string& name, const Shape& shape, HeadNormKind norm, const std::vector<Modulation>& sides,
                std::int64_t n) {
  const Shape joined{shape[0], shape[1], shape[2] * shape[3]};
  Case c;
  c.name = name;
  c.inputs = {{"x", shape}};
  if (norm != HeadNormKind::none) c.inputs.push_back({"weight", {shape[2], shape[3]}, as_gate(normal(1, 0.3))});
  c.inputs.push_back({"gate", joined, normal(0, 2)});
  for (const Modulation side : sides) {
    c.inputs.push_back({"window", joined});
    if (side != Modulation::fixed) c.inputs.push_back({"alpha", {n}, as_gate(normal())});
  }
  const auto call = [=](auto in, auto&& op) {
    std::size_t next = 1;
    const Var weight = norm != HeadNormKind::none ? in[next++] : Var();
    const Var gate = in[next++];
    std::vector<ops::SideBranch> branches;
    for (const Modulation side : sides) {
      const Var window = in[next++];
      branches.push_back({window, side != Modulation::fixed ? in[next++] : Var(), side});
    }
    return op(in[0], weight, gate, branches);
  };
  c.fused = one([=](auto in) {
    return call(in, [=](const Var& x, const Var& weight, const Var& gate, const auto& branches) {
      return ops::gated_head_norm(x, weight, gate, 1e-6, norm, branches);
    });
  });
  c.composed = one([=](auto in) {
    return call(in, [=](const Var& x, const Var& weight, const Var& gate, const auto& branches) {
      return ops::composed::gated_head_norm(x, weight, gate, 1e-6, norm, branches);
    });
  });
  c.bf16 = true;
  return c;
}

}  // namespace

std::vector<OpCensus> head_norm() {
  OpCensus op{"head_norm"}, gated{"gated_head_norm"};
  const auto add = [&](const std::string& name, const Shape& shape, Fill fill = normal(), double eps = 1e-6) -> Case& {
    Case c;
    c.name = name;
    c.inputs = {{"x", shape, fill}, {"weight", {shape[2], shape[3]}, as_gate(normal(1, 0.3))}};
    c.fused = one([eps](auto in) { return ops::head_norm(in[0], in[1], eps); });
    c.composed = one([eps](auto in) { return ops::composed::head_norm(in[0], in[1], eps); });
    c.bf16 = true;
    Case g = c;
    g.inputs.push_back({"gate", {shape[0], shape[1], shape[2] * shape[3]}, normal(0, 2)});
    g.fused = one([eps](auto in) { return ops::gated_head_norm(in[0], in[1], in[2], eps); });
    g.composed = one([eps](auto in) { return ops::composed::gated_head_norm(in[0], in[1], in[2], eps); });
    if (shape[3] == 1) g.inputs[0].differentiable = g.inputs[2].differentiable = false;
    if (fill.mean != 0) g.bf16 = false, g.f32_tolerance = 1e-4;
    gated.cases.push_back(g);
    return op.cases.emplace_back(c);
  };
  add("one position", {1, 1, 2, 16});
  add("one head, odd width", {2, 7, 1, 5});
  // Of one feature nothing is left: the output is 0. So is the gradient of x, which has therefore no relative error.
  add("one feature", {1, 3, 2, 1}).inputs[0].differentiable = false;
  for (const std::int64_t T : {63, 64, 65, 100, 150}) add(fmt::format("T = {}", T), {2, T, 3, 17});
  add("many heads", {1, 65, 12, 64});
  add("large values", {1, 4, 2, 16}, normal(0, 1e4));
  // What leaves an mLSTM with its input gates nearly shut: eps rules (spec §5.7).
  add("tiny values", {1, 4, 2, 16}, normal(0, 5e-4));
  // The mean takes digits away: x - μ is exact in f32, the sums before it are not. bf16 keeps too little of 100 ± 1.
  Case& far = add("far from 0", {1, 5, 2, 24}, normal(100, 1));
  far.f32_tolerance = 1e-4;
  far.bf16 = false;
  add("no positions", {2, 0, 3, 8});
  op.cases.push_back(saved_later(op.cases[1]));
  Case rms = op.cases[1];
  rms.name = "RMSNorm";
  rms.fused = one([](auto in) { return ops::head_norm(in[0], in[1], 1e-6, HeadNormKind::rms); });
  rms.composed = one([](auto in) { return ops::composed::head_norm(in[0], in[1], 1e-6, HeadNormKind::rms); });
  op.cases.push_back(rms);
  op.errors = {{"weight",
                [] {
                  ops::head_norm(f32({1, 2, 3, 4}), f32({12}), 1e-6);
                },
                "[head_norm] expected weight of [3, 4], got f32[12]"},
               {"axes",
                [] {
                  ops::head_norm(f32({2, 3, 4}), f32({3, 4}), 1e-6);
                },
                "expected x with 4 axes"},
               {"weight in bf16",
                [] {
                  ops::head_norm(f32({1, 2, 3, 4}), Tensor::zeros({3, 4}, DType::bf16), 1e-6);
                },
                "expected weight in f32"},
               {"empty heads",
                [] {
                  ops::head_norm(f32({1, 2, 3, 0}), f32({3, 0}), 1e-6);
                },
                "heads that are not empty"},
               {"weight of no norm",
                [] {
                  ops::head_norm(f32({1, 2, 3, 4}), f32({3, 4}), 1e-6, HeadNormKind::none);
                },
                "expected no weight where there is no norm, got f32[3, 4]"}};
  gated.cases.push_back(saved_later(gated.cases[1]));
  for (const auto& [norm, norm_name] : kNorms) {
    gated.cases.push_back(gated_case(fmt::format("{}, no side", norm_name), {2, 65, 3, 5}, norm, {}, 1));
    for (const auto& [side, side_name] : kModulations)
      for (const std::int64_t T : {1, 63, 64, 65, 100, 150})
        // An alpha for all, for each head, for each channel.
        for (const std::int64_t n :
             T == 65 && side != Modulation::fixed ? std::vector<std::int64_t>{1, 3, 51} : std::vector<std::int64_t>{3})
          gated.cases.push_back(gated_case(fmt::format("{}, {}, T = {}, {} alphas", norm_name, side_name, T, n),
                                           {2, T, 3, 17}, norm, {side}, n));
  }
  gated.cases.push_back(
      gated_case("many heads, convex", {1, 65, 12, 64}, HeadNormKind::layer, {Modulation::convex}, 12));
  gated.cases.push_back(gated_case("no positions, tanh", {2, 0, 3, 8}, HeadNormKind::layer, {Modulation::tanh}, 3));
  gated.cases.push_back(gated_case("three sides", {2, 7, 3, 5}, HeadNormKind::layer,
                                   {Modulation::sigmoid, Modulation::fixed, Modulation::convex}, 3));
  gated.cases.push_back(saved_later(gated_case("tanh", {2, 7, 3, 5}, HeadNormKind::layer, {Modulation::tanh}, 1)));
  gated.errors = {
      {"gate by heads",
       [] {
         ops::gated_head_norm(f32({1, 2, 3, 4}), f32({3, 4}), f32({1, 2, 3, 4}), 1e-6);
       },
       "[gated_head_norm] expected gate of [1, 2, 12], got f32[1, 2, 3, 4]"},
      {"gate in bf16",
       [] {
         ops::gated_head_norm(f32({1, 2, 3, 4}), f32({3, 4}), Tensor::zeros({1, 2, 12}, DType::bf16), 1e-6);
       },
       "expected gate in f32"},
      {"side by heads",
       [] {
         const ops::SideBranch side{f32({1, 2, 3, 4})};
         ops::gated_head_norm(f32({1, 2, 3, 4}), f32({3, 4}), f32({1, 2, 12}), 1e-6, HeadNormKind::layer, {&side, 1});
       },
       "[gated_head_norm] expected window of [1, 2, 12], got f32[1, 2, 3, 4]"},
      {"alpha does not divide",
       [] {
         const ops::SideBranch side{f32({1, 2, 12}), f32({5}), Modulation::tanh};
         ops::gated_head_norm(f32({1, 2, 3, 4}), f32({3, 4}), f32({1, 2, 12}), 1e-6, HeadNormKind::layer, {&side, 1});
       },
       "[gated_head_norm] expected alpha [n] with n a divisor of 12 channels, got f32[5]"}};
  return {op, gated};
}

TEST_CASE("head norm leaves mean 0 and variance 1 in every head, whatever the others hold") {
  const Tensor x = Tensor::empty({2, 9, 3, 32});
  Rng rng(5);
  rng.fill_normal(x, -7, 3);
  float* values = x.mutable_data<float>();
  for (std::int64_t i = 0; i < 32; ++i) values[i] *= 1000;
  const Tensor y = ops::head_norm(x, Tensor::full({3, 32}, 1), 1e-6).value();
  for (std::int64_t head = 0; head < 2 * 9 * 3; ++head) {
    double mean = 0, square = 0;
    for (std::int64_t e = 0; e < 32; ++e) {
      mean += y.at(head * 32 + e) / 32;
      square += y.at(head * 32 + e) * y.at(head * 32 + e) / 32;
    }
    CHECK(std::abs(mean) < 1e-5);
    CHECK(std::abs(square - 1) < 1e-4);
  }
}

TEST_CASE("shut and open output gates: no overflow, no NaN") {
  const float gates[] = {-1e30F, -200, -89, 0, 89, 200, 1e30F};
  const double open[] = {0, 0, 0, 0.5, 1, 1, 1};
  const Tensor gate = Tensor::from<float>({1, 1, 7}, gates), x = Tensor::full({1, 1, 1, 7}, 3);
  const Tensor y = ops::gated_head_norm(x, {}, gate, 1e-6, HeadNormKind::none).value();
  for (std::int64_t i = 0; i < 7; ++i) CHECK(std::abs(y.at(i) - 3 * open[i]) < 1e-6);
}

namespace {

// Root mean square, over the heads, of the cosine of x and dx. The gradient is nearly along y, so that most of it has
// to be projected out.
double cosine_of_x_and_dx(std::int64_t heads, std::int64_t n, bool composed) {
  const Tensor x = Tensor::empty({1, heads / 2, 2, n}), noise = Tensor::empty(x.shape());
  Rng rng(6);
  rng.fill_normal(x, 0, 1);
  rng.fill_normal(noise, 0, 0.01);
  const KernelChoice choice({.backend = Backend::automatic, .composed = composed, .forced = {}});
  Tape tape;
  const Var leaf = tape.leaf(x, "x"), y = ops::head_norm(leaf, Tensor::full({2, n}, 1), 0);
  const Var outputs[] = {y};
  const Tensor gradients[] = {ops::add(y.detach(), noise).value()};
  tape.backward(outputs, gradients);
  const Tensor dx = tape.grad(leaf);
  double squares = 0;
  for (std::int64_t head = 0; head < heads; ++head) {
    double dot = 0, dx_norm = 0, x_norm = 0;
    for (std::int64_t j = head * n; j < (head + 1) * n; ++j) {
      dot += dx.at(j) * x.at(j);
      dx_norm += dx.at(j) * dx.at(j);
      x_norm += x.at(j) * x.at(j);
    }
    squares += dot * dot / (dx_norm * x_norm);
  }
  return std::sqrt(squares / static_cast<double>(heads));
}

}  // namespace

TEST_CASE("in f32 dx is orthogonal to x to more digits than f32 has, fused and composed") {
  // ops/mlstm.cpp needs it.
  CHECK(cosine_of_x_and_dx(8, 1024, true) < 2e-9);
  // The fewer the features, the less their rounding errors cancel: the fused operation rounds with x in view.
  CHECK(cosine_of_x_and_dx(8, 1024, false) < 1e-10);
  CHECK(cosine_of_x_and_dx(1000, 16, false) < 3e-9);
}

}  // namespace blalm::census
