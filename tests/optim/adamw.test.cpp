#include "optim/adamw.h"

#include <cmath>
#include <limits>

#include "optim/optimizer.h"
#include "tests/optim/support.h"

namespace blalm {

TEST_CASE("three steps of AdamW in closed form") {
  // m_t = (1−β₁) Σ β₁^(t−s) g_s and v_t likewise: no recurrence, so that one cannot hide in both.
  for (const bool decay : {true, false}) {
    test::ParameterList parameters({{"p", decay ? Role::embedding : Role::vector, {5, 7}}}, DType::f64);
    const Tensor start = parameters[0].value.clone();
    OptimConfig config;
    config.clip = 0;
    Optimizer optimizer(parameters.pointers(), config);
    const std::vector<double> rates = {1e-3, 5e-3, 2e-3};
    std::vector<Tensor> gradients;
    for (const double lr : rates) {
      parameters.draw_gradients();
      gradients.push_back(parameters[0].grad.clone());
      optimizer.step(lr);
    }
    for (std::int64_t i = 0; i < start.numel(); ++i) {
      double p = start.at(i);
      for (int t = 1; t <= 3; ++t) {
        double m = 0, v = 0;
        for (int s = 1; s <= t; ++s) {
          const double g = gradients[static_cast<std::size_t>(s - 1)].at(i);
          m += (1 - 0.9) * std::pow(0.9, t - s) * g;
          v += (1 - 0.95) * std::pow(0.95, t - s) * g * g;
        }
        const double lr = rates[static_cast<std::size_t>(t - 1)];
        p = p * (1 - lr * (decay ? 0.1 : 0.0)) -
            lr * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.95, t))) + 1e-8);
      }
      CHECK(parameters[0].value.at(i) == doctest::Approx(p).epsilon(1e-13));
    }
  }
}

TEST_CASE("under a constant gradient every step is the learning rate") {
  test::ParameterList parameters({{"p", Role::vector, {3}}}, DType::f64);
  const Tensor start = parameters[0].value.clone();
  parameters.draw_gradients();
  Optimizer optimizer(parameters.pointers(), OptimConfig());
  for (int t = 0; t < 20; ++t) optimizer.step(1e-2);
  for (std::int64_t i = 0; i < 3; ++i) {
    const double sign = parameters[0].grad.at(i) > 0 ? 1 : -1;
    CHECK(parameters[0].value.at(i) == doctest::Approx(start.at(i) - 20 * 1e-2 * sign).epsilon(1e-6));
  }
}

TEST_CASE("averages that fade end at zero, not among the subnormal numbers") {
  test::ParameterList parameters({{"p", Role::embedding, {40, 50}}});
  Optimizer optimizer(parameters.pointers(), OptimConfig());
  parameters.draw_gradients(1e-6);
  optimizer.step();
  parameters.clear_gradients();
  for (int t = 0; t < 3000; ++t) optimizer.step();
  for (const auto& [name, tensor] : optimizer.state().tensors)
    for (std::int64_t i = 0; i < tensor.numel(); ++i) CHECK(tensor.at(i) == 0);
}

TEST_CASE("a step is the same wherever in the work its elements lie") {
  // Tensors of many sizes, whose stretches begin and end at any offset, against one element at a time.
  std::vector<test::Description> list;
  for (const std::int64_t n : {1, 15, 16, 17, 16383, 16384, 16385, 5, 40000, 0, 3})
    list.push_back({std::to_string(n), Role::vector, {n}});
  test::ParameterList parameters(list);
  const std::vector<Tensor> before = parameters.values();
  parameters.draw_gradients();
  OptimConfig config;
  config.clip = 0;
  Optimizer(parameters.pointers(), config).step();
  for (std::size_t k = 0; k < parameters.size(); ++k)
    for (std::int64_t i = 0; i < before[k].numel(); ++i) {
      const double sign = parameters[k].grad.at(i) > 0 ? 1 : -1;
      REQUIRE(std::abs(parameters[k].value.at(i) - before[k].at(i) + 1e-3 * sign) < 2e-5);
    }
}

}  // namespace blalm
