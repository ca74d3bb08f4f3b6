#include "optim/optimizer.h"

#include <cmath>
#include <limits>
#include <thread>

#include "engine/core/error.h"
#include "engine/core/pool.h"
#include "tests/optim/support.h"

namespace blalm {
namespace {

OptimConfig config_of(OptimizerKind kind) {
  OptimConfig config;
  config.optimizer = kind;
  return config;
}
constexpr std::array kKinds = {OptimizerKind::adamw, OptimizerKind::muon};

Parameter parameter(Role role, const Shape& shape) { return {"p", role, Tensor::zeros(shape), {}, false}; }

std::vector<Tensor> train(const OptimConfig& config, int steps) {
  test::ParameterList parameters(test::one_of_each());
  Optimizer optimizer(parameters.pointers(), config);
  for (int t = 0; t < steps; ++t) {
    parameters.draw_gradients();
    optimizer.step(1e-2);
  }
  std::vector<Tensor> all = parameters.values();
  for (const auto& [name, tensor] : optimizer.state().tensors) all.push_back(tensor);
  return all;
}

OptimizerState clone(const OptimizerState& state) {
  OptimizerState copy = state;
  for (auto& [name, tensor] : copy.tensors) tensor = tensor.clone();
  return copy;
}

}  // namespace

TEST_CASE("groups go by role and rank") {
  OptimConfig config = test::muon_config();
  const auto rule = [&](Role role, const Shape& shape) { return update_rule(parameter(role, shape), config); };
  CHECK(rule(Role::matrix, {4, 5}) == UpdateRule::muon);
  CHECK(rule(Role::matrix, {3, 4, 5}) == UpdateRule::muon);
  CHECK(rule(Role::gate, {4, 5}) == UpdateRule::muon);
  CHECK(rule(Role::matrix, {4}) == UpdateRule::adamw);
  CHECK(rule(Role::matrix, {0, 5}) == UpdateRule::adamw);
  CHECK(rule(Role::gate, {4}) == UpdateRule::adamw);
  for (const Role role : {Role::embedding, Role::vector, Role::scalar, Role::convolution})
    CHECK(rule(role, {4, 5}) == UpdateRule::adamw);
  config.gates_in_adamw = true;
  CHECK(rule(Role::gate, {4, 5}) == UpdateRule::adamw);
  CHECK(rule(Role::matrix, {4, 5}) == UpdateRule::muon);
  config.optimizer = OptimizerKind::adamw;
  CHECK(rule(Role::matrix, {4, 5}) == UpdateRule::adamw);

  for (const Role role : {Role::matrix, Role::gate, Role::embedding, Role::convolution}) {
    CHECK(decays(parameter(role, {4, 5})));
    CHECK_FALSE(decays(parameter(role, {4})));
  }
  CHECK_FALSE(decays(parameter(Role::vector, {3, 8})));
  CHECK_FALSE(decays(parameter(Role::scalar, {3, 1})));
}

TEST_CASE("the gradient norm is that of all gradients together, whatever the number of threads") {
  test::ParameterList parameters(test::one_of_each());
  parameters.draw_gradients();
  double sum = 0;
  for (std::size_t k = 0; k < parameters.size(); ++k)
    for (std::int64_t i = 0; i < parameters[k].grad.numel(); ++i) sum += std::pow(parameters[k].grad.at(i), 2);
  GradientNorm norm(parameters.pointers());
  const auto measured = norm.measure();
  CHECK(measured.norm == doctest::Approx(std::sqrt(sum)).epsilon(1e-13));
  CHECK(norm.norms()[5] == doctest::Approx(test::rms(parameters[5].grad) * std::sqrt(3 * 24 * 24)).epsilon(1e-13));
  for (const int threads : {1, 2, 3, 7}) {
    const test::Threads guard(threads);
    CHECK(norm.measure().norm == measured.norm);
  }
  parameters[0].has_grad = false;
  CHECK(norm.measure().norm < measured.norm);
  CHECK(norm.norms()[0] == 0);
}

TEST_CASE("clipping scales all gradients to the threshold, and only above it") {
  for (const OptimizerKind kind : kKinds) {
    OptimConfig clipped = config_of(kind), open = config_of(kind);
    clipped.clip = 0.5;
    open.clip = 0;
    test::ParameterList a(test::one_of_each(), DType::f64), b(test::one_of_each(), DType::f64);
    Optimizer clipping(a.pointers(), clipped), plain(b.pointers(), open);
    for (const double size : {1.0, 1e-6, 10.0}) {
      a.draw_gradients(size);
      b.draw_gradients(size);
      const StepResult result = clipping.step(1e-2);
      CHECK(result.gradient_scale == (result.grad_norm > 0.5 ? 0.5 / result.grad_norm : 1.0));
      CHECK((result.gradient_scale < 1) == (size > 1e-3));
      for (std::size_t k = 0; k < b.size(); ++k)
        for (std::int64_t i = 0; i < b[k].grad.numel(); ++i)
          b[k].grad.mutable_data<double>()[i] *= result.gradient_scale;
      const StepResult other = plain.step(1e-2);
      CHECK(other.gradient_scale == 1);
      CHECK(other.grad_norm == doctest::Approx(std::min(0.5, result.grad_norm)).epsilon(1e-12));
    }
    for (std::size_t k = 0; k < a.size(); ++k) CHECK(test::largest_relative_error(a[k].value, b[k].value) < 1e-9);
  }
}

TEST_CASE("a gradient that is not finite skips the step, is counted and named") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();
  for (const OptimizerKind kind : kKinds)
    for (const float bad : {kInfinity, -kInfinity, kNaN}) {
      test::ParameterList a(test::one_of_each()), b(test::one_of_each());
      Optimizer disturbed(a.pointers(), config_of(kind)), calm(b.pointers(), config_of(kind));
      a.draw_gradients();
      b.draw_gradients();
      disturbed.step();
      calm.step();
      const std::vector<Tensor> before = a.values();
      const OptimizerState state = clone(disturbed.state());

      const Tensor good = a[6].grad.clone(), fine = a[11].grad.clone();
      a[6].grad.mutable_data<float>()[100] = bad;  // layers.0.igate.weight
      a[11].grad.mutable_data<float>()[0] = kNaN;
      const StepResult result = disturbed.step();
      CHECK_FALSE(result.applied);
      CHECK(result.non_finite == "layers.0.igate.weight");
      CHECK_FALSE(std::isfinite(result.grad_norm));
      CHECK(disturbed.skipped() == 1);
      CHECK(disturbed.updates() == 1);
      CHECK(test::same_bits(a.values(), before));
      for (const auto& [name, tensor] : disturbed.state().tensors)
        CHECK(test::same_bits(tensor, state.tensors.at(name)));

      a[6].grad.copy_from(good);
      a[11].grad.copy_from(fine);
      CHECK(disturbed.step().applied);
      calm.step();
      CHECK(test::same_bits(a.values(), b.values()));
      calm.restore(disturbed.state());
      CHECK(calm.skipped() == 1);
    }
}

TEST_CASE("a resumed run has the bits of one that was never stopped") {
  for (const OptimizerKind kind : kKinds) {
    test::ParameterList a(test::one_of_each()), b(test::one_of_each());
    Optimizer straight(a.pointers(), config_of(kind)), first(b.pointers(), config_of(kind));
    for (int t = 0; t < 3; ++t) {
      a.draw_gradients();
      b.draw_gradients();
      straight.step(1e-2);
      first.step(1e-2);
    }
    const OptimizerState saved = clone(first.state());
    Optimizer second(b.pointers(), config_of(kind));
    CHECK(second.updates() == 0);
    second.restore(saved);
    CHECK(second.updates() == 3);
    for (int t = 0; t < 3; ++t) {
      a.draw_gradients();
      b.draw_gradients();
      straight.step(1e-2);
      second.step(1e-2);
    }
    CHECK(test::same_bits(a.values(), b.values()));
    for (const auto& [name, tensor] : straight.state().tensors)
      CHECK(test::same_bits(tensor, second.state().tensors.at(name)));
  }
}

TEST_CASE("state has the documented names") {
  test::ParameterList parameters({{"q", Role::matrix, {4, 4}}, {"n", Role::vector, {4}}});
  const Optimizer optimizer(parameters.pointers(), config_of(OptimizerKind::muon));
  std::vector<std::string> names;
  for (const auto& [name, tensor] : optimizer.state().tensors) names.push_back(name);
  CHECK(names == std::vector<std::string>{"adamw.m/n", "adamw.v/n", "muon.momentum/q"});
}

TEST_CASE("a state that does not fit is refused with all its faults, and nothing changes") {
  test::ParameterList parameters(
      {{"a", Role::matrix, {4, 4}}, {"b", Role::matrix, {4, 4}}, {"n", Role::vector, {4}}, {"m", Role::vector, {2}}});
  Optimizer optimizer(parameters.pointers(), config_of(OptimizerKind::muon));
  OptimizerState bad = clone(optimizer.state());
  bad.updates = 9;
  bad.tensors.erase("adamw.m/m");
  bad.tensors["adamw.v/n"] = Tensor::zeros({5});
  bad.tensors["muon.momentum/a"] = Tensor::zeros({4, 4}, DType::f64);
  bad.tensors["muon.momentum/b"] = Tensor::full({4, 4}, 1);
  bad.tensors["adamw.m/q"] = Tensor::zeros({1});
  CHECK_THROWS_WITH_AS(
      optimizer.restore(bad),
      "[optimizer state] expected the 6 tensors of this model and optimiser, got missing adamw.m/m; adamw.v/n f32[5] "
      "in place of f32[4]; muon.momentum/a f64[4, 4] in place of f32[4, 4]; unexpected adamw.m/q (was it saved with "
      "another optimiser or model?)",
      DataError);
  CHECK(optimizer.updates() == 0);
  CHECK(optimizer.state().tensors.at("muon.momentum/b").at(0) == 0);
  bad = clone(optimizer.state());
  bad.tensors["adamw.v/n"] = Tensor();
  CHECK_THROWS_AS(optimizer.restore(bad), DataError);
  bad = clone(optimizer.state());
  bad.updates = -1;
  CHECK_THROWS_AS(optimizer.restore(bad), DataError);
}

TEST_CASE("the number of threads does not change the result") {
  const auto with_threads = [](int threads, const OptimConfig& config) {
    const test::Threads guard(threads);
    return train(config, 3);
  };
  const OptimConfig adamw = config_of(OptimizerKind::adamw), muon = config_of(OptimizerKind::muon);
  CHECK(test::same_bits(with_threads(1, adamw), with_threads(3, adamw)));
  {
    const KernelChoice eigen({.backend = Backend::automatic, .composed = false, .forced = {{"matmul", "eigen"}}});
    CHECK(test::same_bits(with_threads(1, muon), with_threads(3, muon)));
  }
  const auto one = with_threads(1, muon), three = with_threads(3, muon);
  for (std::size_t k = 0; k < one.size(); ++k) CHECK(test::largest_relative_error(one[k], three[k]) < 1e-5);
}

TEST_CASE("two optimisers run at the same time on two threads") {
  for (const OptimizerKind kind : kKinds) {
    const auto alone = train(config_of(kind), 4);
    std::vector<Tensor> a, b;
    std::thread thread([&] { a = train(config_of(kind), 4); });
    b = train(config_of(kind), 4);
    thread.join();
    CHECK(test::same_bits(a, alone));
    CHECK(test::same_bits(b, alone));
  }
}

TEST_CASE("after the first step nothing is asked of the system") {
  for (const OptimizerKind kind : kKinds)
    for (const NewtonSchulzPrecision precision : {NewtonSchulzPrecision::f32, NewtonSchulzPrecision::bf16}) {
      OptimConfig config = config_of(kind);
      config.ns_precision = precision;
      test::ParameterList parameters(test::one_of_each());
      Optimizer optimizer(parameters.pointers(), config);
      parameters.draw_gradients();
      Pool::instance().trim();
      optimizer.step();
      const PoolStats before = Pool::instance().stats();
      for (int t = 0; t < 3; ++t) optimizer.step();
      CHECK(Pool::instance().stats().system_allocations == before.system_allocations);
      CHECK(Pool::instance().stats().live_bytes == before.live_bytes);
    }
}

TEST_CASE("statistics tell what the step did") {
  for (const OptimizerKind kind : kKinds) {
    OptimConfig config = config_of(kind);
    config.weight_decay = 0;
    config.clip = 0;
    test::ParameterList parameters(test::one_of_each(), DType::f64);
    Optimizer optimizer(parameters.pointers(), config);
    parameters.draw_gradients();
    const std::vector<Tensor> before = parameters.values();
    optimizer.collect_statistics(true);
    optimizer.step(1e-2);
    const auto statistics = optimizer.statistics();
    REQUIRE(statistics.size() == parameters.size());
    for (std::size_t k = 0; k < statistics.size(); ++k) {
      const Parameter& p = parameters[k];
      CAPTURE(p.name);
      CHECK(statistics[k].name == p.name);
      CHECK(statistics[k].rule == update_rule(p, config));
      CHECK(statistics[k].value_rms == doctest::Approx(test::rms(p.value)).epsilon(1e-12));
      const double n = std::sqrt(static_cast<double>(p.value.numel()));
      CHECK(statistics[k].grad_norm == doctest::Approx(test::rms(p.grad) * n).epsilon(1e-12));
      const Tensor moved = p.value.clone();
      for (std::int64_t i = 0; i < moved.numel(); ++i) moved.mutable_data<double>()[i] -= before[k].at(i);
      CHECK(statistics[k].update_rms == doctest::Approx(test::rms(moved) / 1e-2).epsilon(1e-9));
    }
  }
}

TEST_CASE("collecting statistics does not change the step") {
  for (const OptimizerKind kind : kKinds) {
    test::ParameterList a(test::one_of_each()), b(test::one_of_each());
    Optimizer with(a.pointers(), config_of(kind)), without(b.pointers(), config_of(kind));
    with.collect_statistics(true);
    a.draw_gradients();
    b.draw_gradients();
    with.step();
    without.step();
    CHECK(test::same_bits(a.values(), b.values()));
    CHECK(without.statistics()[0].update_rms == 0);
    CHECK(without.statistics()[0].grad_norm > 0);
  }
}

TEST_CASE("both optimisers bring down a least-squares loss") {
  // ½‖W − W*‖²/n for one hidden matrix and one vector.
  for (const OptimizerKind kind : kKinds) {
    const std::vector<test::Description> list = {{"w", Role::matrix, {20, 30}}, {"b", Role::vector, {30}}};
    test::ParameterList parameters(list), target(list, DType::f32, 2);
    OptimConfig config = config_of(kind);
    config.weight_decay = 0;
    Optimizer optimizer(parameters.pointers(), config);
    const auto loss = [&] {
      double sum = 0;
      for (std::size_t k = 0; k < 2; ++k)
        for (std::int64_t i = 0; i < parameters[k].value.numel(); ++i) {
          const double difference = parameters[k].value.at(i) - target[k].value.at(i);
          sum += difference * difference;
          parameters[k].grad.mutable_data<float>()[i] = static_cast<float>(difference);
          parameters[k].has_grad = true;
        }
      return sum;
    };
    const double first = loss();
    for (int t = 0; t < 400; ++t) {
      optimizer.step(0.1 * (1 - t / 400.0));
      loss();
    }
    CHECK(loss() < 0.01 * first);
  }
}

TEST_CASE("what an optimiser does not take") {
  test::ParameterList parameters({{"a", Role::matrix, {4, 4}}, {"b", Role::vector, {4}}});
  OptimConfig config;
  config.beta2 = 1;
  CHECK_THROWS_AS(Optimizer(parameters.pointers(), config), ConfigError);

  const std::vector<Parameter*> twice = {&parameters[0], &parameters[0]};
  CHECK_THROWS_WITH_AS(Optimizer(twice, OptimConfig()), "[optimizer] expected each parameter once, got a twice",
                       ConfigError);

  Optimizer optimizer(parameters.pointers(), OptimConfig());
  CHECK_THROWS_AS(optimizer.step(-1), ConfigError);
  CHECK_THROWS_AS(optimizer.step(std::nan("")), ConfigError);
  parameters.draw_gradients();
  parameters[1].grad = Tensor::zeros({5});
  CHECK_THROWS_WITH_AS(optimizer.step(), "[optimizer] expected a gradient f32[4] of b, got f32[5]", ShapeError);
  parameters[1].grad = Tensor();
  CHECK_THROWS_AS(optimizer.step(), ShapeError);

  parameters[1].value = Tensor::zeros({4}, DType::bf16);
  CHECK_THROWS_WITH_AS(Optimizer(parameters.pointers(), OptimConfig()),
                       "[optimizer] expected a parameter in f32 or f64, got b bf16[4]", ShapeError);
}

TEST_CASE("zero_grad forgets gradients, and a step without any moves nothing") {
  test::ParameterList parameters(test::one_of_each());
  Optimizer optimizer(parameters.pointers(), config_of(OptimizerKind::muon));
  parameters.draw_gradients();
  optimizer.zero_grad();
  const std::vector<Tensor> before = parameters.values();
  CHECK(optimizer.step().grad_norm == 0);
  CHECK(test::same_bits(parameters.values(), before));
  CHECK(Optimizer(std::vector<Parameter*>{}, OptimConfig()).step().applied);
}

}  // namespace blalm
