#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "tests/engine/ops/census_list.h"

namespace blalm::census {
namespace {

using ops::FeatureMap;

constexpr std::pair<FeatureMap, const char*> kMaps[] = {
    {FeatureMap::fla, "fla"}, {FeatureMap::lol, "lol"}, {FeatureMap::exp, "exp"}};

OpCensus features() {
  OpCensus op{"hedgehog_features"};
  const auto add = [&](FeatureMap map, const std::string& name, const Shape& shape, Fill fill = normal()) -> Case& {
    Case c;
    c.name = name;
    c.inputs = {{"y", shape, fill}};
    c.fused = one([map](auto in) { return ops::hedgehog_features(in[0], map); });
    c.composed = one([map](auto in) { return ops::composed::hedgehog_features(in[0], map); });
    // Of many values in bf16 two are soon the largest of their vector, where exp has no derivative.
    c.bf16 = map != FeatureMap::exp || shape.numel() < 20;
    return op.cases.emplace_back(c);
  };
  for (const auto& [map, name] : kMaps) {
    for (const std::int64_t T : {1, 63, 64, 65, 100, 150}) add(map, fmt::format("{}, T = {}", name, T), {1, T, 2, 7});
    add(map, fmt::format("{}, 64 features", name), {2, 33, 64});
    add(map, fmt::format("{}, one feature", name), {5, 1});
    add(map, fmt::format("{}, vector", name), {9});
    // lol holds some of these at 1e-12. Rows are nearly saturated, and gradients differences of nearly equal numbers:
    // φ = 1 - δ keeps few digits of δ, and in bf16 hardly any.
    Case& far = add(map, fmt::format("{}, far apart", name), {6, 16}, normal(0, 12));
    far.f32_tolerance = 1e-4;
    far.bf16_tolerance = 1e-1;
    add(map, fmt::format("{}, far from 0", name), {6, 16}, normal(300, 1)).bf16 = false;
    add(map, fmt::format("{}, no rows", name), {0, 4});
    op.errors.push_back({fmt::format("{}, no features", name),
                         [map = map] {
                           ops::hedgehog_features(f32({3, 0}), map);
                         },
                         "[hedgehog_features] expected y with at least one feature, got f32[3, 0]"});
  }
  return op;
}

OpCensus projected() {
  OpCensus op{"hedgehog"};
  const auto add = [&](FeatureMap map, const std::string& name, const Shape& x, const Shape& weight, bool bias) {
    Case c;
    c.name = name;
    c.inputs = {{"x", x}, {"weight", weight, as_gate(normal(0, 0.25))}};
    if (bias) c.inputs.push_back({"bias", {weight[0]}, as_gate(normal(0, 0.3))});
    c.fused = one([=](auto in) { return ops::hedgehog(in[0], in[1], bias ? in[2] : Var(), map); });
    if (weight.rank() == 3)  // head by head
      c.composed = one([map](auto in) {
        std::vector<Var> heads;
        for (std::int64_t h = 0; h < in[0].dim(2); ++h) {
          const Var w = ops::reshape(ops::slice(in[1], 0, h, h + 1), {in[1].dim(1), in[1].dim(2)});
          heads.push_back(ops::hedgehog_features(ops::linear(ops::slice(in[0], 2, h, h + 1), w), map));
        }
        return ops::concat(heads, 2);
      });
    // In bf16 the projection rounds, and another entry may become the largest: the gradient of exp jumps.
    c.bf16 = map != FeatureMap::exp;
    op.cases.push_back(c);
  };
  for (const auto& [map, name] : kMaps) {
    add(map, fmt::format("{}, shared with bias", name), {2, 65, 3, 8}, {8, 8}, true);
    add(map, fmt::format("{}, shared", name), {1, 10, 2, 8}, {5, 8}, false);
    add(map, fmt::format("{}, one a head", name), {2, 33, 3, 8}, {3, 5, 8}, false);
    add(map, fmt::format("{}, one a head, one position", name), {1, 1, 2, 16}, {2, 16, 16}, false);
    add(map, fmt::format("{}, no positions", name), {1, 0, 2, 4}, {2, 4, 4}, false);
  }
  op.errors = {{"weight width",
                [] {
                  ops::hedgehog(f32({1, 2, 3, 4}), f32({4, 5}), Var(), FeatureMap::fla);
                },
                "[hedgehog] expected weight of [F, 4] or [3, F, 4], got f32[4, 5]"},
               {"weight heads",
                [] {
                  ops::hedgehog(f32({1, 2, 3, 4}), f32({2, 4, 4}), Var(), FeatureMap::lol);
                },
                "or [3, F, 4], got f32[2, 4, 4]"},
               {"bias a head",
                [] {
                  ops::hedgehog(f32({1, 2, 3, 4}), f32({3, 4, 4}), f32({4}), FeatureMap::lol);
                },
                "no bias with one weight a head"},
               {"axes",
                [] {
                  ops::hedgehog(f32({2, 3, 4}), f32({4, 4}), Var(), FeatureMap::fla);
                },
                "expected x with 4 axes"}};
  return op;
}

}  // namespace

std::vector<OpCensus> hedgehog() { return {features(), projected()}; }

TEST_CASE("features are positive and sum to 1 (fla) or 2 (lol); the largest of each half is 1 (exp)") {
  Rng rng(6);
  for (const double stddev : {1.0, 1e3, 1e30}) {
    const Tensor y = Tensor::empty({40, 24});
    rng.fill_normal(y, 0, stddev);
    const Tensor fla = ops::hedgehog_features(y, FeatureMap::fla).value(),
                 lol = ops::hedgehog_features(y, FeatureMap::lol).value();
    const Tensor exp = ops::hedgehog_features(y, FeatureMap::exp).value();
    for (std::int64_t row = 0; row < 40; ++row) {
      double fla_sum = 0, lol_sum = 0, largest[2] = {0, 0};
      for (std::int64_t j = 0; j < 48; ++j) {
        const std::int64_t at = row * 48 + j;
        REQUIRE(fla.at(at) >= 0);
        REQUIRE(lol.at(at) >= 0.999e-12);
        REQUIRE(exp.at(at) >= 0);
        fla_sum += fla.at(at);
        lol_sum += lol.at(at);
        largest[j / 24] = std::max(largest[j / 24], exp.at(at));
      }
      CHECK(std::abs(fla_sum - 1) < 1e-5);
      CHECK(std::abs(lol_sum - 2) < 1e-5);
      CHECK(largest[0] == 1);
      CHECK(largest[1] == 1);
    }
  }
}

TEST_CASE("with the identity as weight, fla is softmax([2x, -2x])") {
  Rng rng(7);
  const Tensor x = Tensor::empty({1, 5, 2, 4}), identity = Tensor::zeros({4, 4});
  rng.fill_normal(x, 0, 1);
  for (std::int64_t i = 0; i < 4; ++i) identity.mutable_data<float>()[5 * i] = 1;
  const Tensor phi = ops::hedgehog(x, identity, Tensor::zeros({4}), FeatureMap::fla).value();
  for (std::int64_t row = 0; row < 10; ++row) {
    double sum = 0;
    for (std::int64_t j = 0; j < 4; ++j) sum += std::exp(2 * x.at(row * 4 + j)) + std::exp(-2 * x.at(row * 4 + j));
    for (std::int64_t j = 0; j < 4; ++j) {
      CHECK(std::abs(phi.at(row * 8 + j) - std::exp(2 * x.at(row * 4 + j)) / sum) < 1e-6);
      CHECK(std::abs(phi.at(row * 8 + 4 + j) - std::exp(-2 * x.at(row * 4 + j)) / sum) < 1e-6);
    }
  }
}

}  // namespace blalm::census
