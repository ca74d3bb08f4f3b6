#include <doctest/doctest.h>
#include <fmt/format.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "tests/engine/ops/census_list.h"

namespace blalm::census {

std::vector<OpCensus> rope() {
  OpCensus op{"rope"};
  const auto add = [&](const std::string& name, const Shape& shape, std::int64_t start = 0, double theta = 10000) {
    Case c;
    c.name = name;
    c.inputs = {{"x", shape}};
    c.fused = one([=](auto in) { return ops::rope(in[0], theta, start); });
    c.composed = one([=](auto in) { return ops::composed::rope(in[0], theta, start); });
    c.bf16 = true;
    op.cases.push_back(c);
  };
  for (const std::int64_t batch : {1, 2})
    for (const std::int64_t T : {1, 63, 64, 65, 100, 150})
      add(fmt::format("batch {}, T = {}", batch, T), {batch, T, 3, 16});
  add("one pair", {1, 9, 1, 2});
  add("odd half", {1, 9, 2, 14});
  add("many heads", {1, 65, 12, 64});
  add("one step later on", {3, 1, 2, 8}, 777);
  add("past the cached positions", {1, 5, 2, 8}, 1000000);
  add("another base", {1, 33, 2, 8}, 5, 500000);
  add("no positions", {2, 0, 3, 8});
  add("no features", {2, 3, 1, 0});
  op.errors = {{"odd width",
                [] {
                  ops::rope(f32({1, 2, 3, 5}), 10000);
                },
                "[rope] expected x [B, T, H, D] with D even, got f32[1, 2, 3, 5]"},
               {"axes",
                [] {
                  ops::rope(f32({2, 3, 4}), 10000);
                },
                "expected x with 4 axes"},
               {"theta",
                [] {
                  ops::rope(f32({1, 2, 3, 4}), 0);
                },
                "[rope] expected theta above 0, got 0"},
               {"start",
                [] {
                  ops::rope(f32({1, 2, 3, 4}), 10000, -1);
                },
                "expected a start of 0 or more, got -1"}};
  return {op};
}

TEST_CASE("rope turns pairs by t θ^(-2j/D) and keeps their length") {
  Tensor x = Tensor::zeros({1, 50, 1, 6}, DType::f64);
  for (std::int64_t t = 0; t < 50; ++t) x.mutable_data<double>()[t * 6 + 1] = 2;  // pair (1, 4)
  const Tensor y = ops::rope(x, 100, 7).value();
  for (std::int64_t t = 0; t < 50; ++t) {
    const double angle = static_cast<double>(7 + t) * std::pow(100, -2.0 / 6);
    CHECK(y.at(t * 6 + 1) == doctest::Approx(2 * std::cos(angle)));
    CHECK(y.at(t * 6 + 4) == doctest::Approx(2 * std::sin(angle)));
    CHECK(y.at(t * 6) == 0);
  }
}

TEST_CASE("products of rotated vectors depend on the distance alone") {
  Rng rng(8);
  const Tensor q = Tensor::empty({1, 1, 1, 16}, DType::f64), k = Tensor::empty({1, 1, 1, 16}, DType::f64);
  rng.fill_normal(q, 0, 1);
  rng.fill_normal(k, 0, 1);
  const auto product = [&](std::int64_t at_q, std::int64_t at_k) {
    const Tensor a = ops::rope(q, 10000, at_q).value(), b = ops::rope(k, 10000, at_k).value();
    double sum = 0;
    for (std::int64_t j = 0; j < 16; ++j) sum += a.at(j) * b.at(j);
    return sum;
  };
  CHECK(product(9, 4) == doctest::Approx(product(105, 100)));
  CHECK(product(9, 4) != doctest::Approx(product(9, 5)));
}

TEST_CASE("a piece rotated with its start equals that piece of the whole, also from many threads at once") {
  Rng rng(9);
  const Tensor x = Tensor::empty({1, 300, 2, 10});
  rng.fill_normal(x, 0, 1);
  // A base of its own, so that the table grows while the threads run.
  const Tensor whole = ops::composed::rope(x, 4321, 0).value();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (std::int64_t t = i; t < 300; t += 4) {
        const Tensor y = ops::rope(ops::slice(x, 1, t, t + 1), 4321, t).value();
        for (std::int64_t j = 0; j < 20; ++j) wrong += std::abs(y.at(j) - whole.at(t * 20 + j)) > 1e-6;
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
}

}  // namespace blalm::census
