#include "optim/muon.h"

#include <algorithm>
#include <cmath>

#include "optim/newton_schulz.h"
#include "optim/optimizer.h"
#include "tests/optim/support.h"

namespace blalm {
namespace {

// Runs `steps` steps on a fresh copy of the same parameters with the same gradients.
std::vector<Tensor> run(const std::vector<test::Description>& list, const OptimConfig& config, double lr, int steps = 3,
                        DType dtype = DType::f64) {
  test::ParameterList parameters(list, dtype);
  Optimizer optimizer(parameters.pointers(), config);
  for (int t = 0; t < steps; ++t) {
    parameters.draw_gradients(0.01);  // a norm below the clipping threshold
    optimizer.step(lr);
  }
  return parameters.values();
}

const std::vector<test::Description> kMatrices = {
    {"square", Role::matrix, {24, 24}},  {"wide", Role::matrix, {24, 40}},     {"tall", Role::matrix, {40, 24}},
    {"another", Role::matrix, {24, 40}}, {"heads", Role::matrix, {3, 24, 40}}, {"gate", Role::gate, {2, 24}}};

}  // namespace

TEST_CASE("three steps of each form by the formulas, one matrix at a time") {
  for (const MuonForm form : {MuonForm::moonlight, MuonForm::keller_jordan})
    for (const bool nesterov : {true, false}) {
      OptimConfig config = test::muon_config();
      config.muon_form = form;
      config.nesterov = nesterov;
      config.clip = 0;
      test::ParameterList parameters(kMatrices, DType::f64);
      Optimizer optimizer(parameters.pointers(), config);
      std::vector<Tensor> expected = parameters.values(), momentum;
      for (const Tensor& t : expected) momentum.push_back(Tensor::zeros(t.shape(), t.dtype()));
      const double mu = 0.95, lr = 1e-2;
      for (int t = 0; t < 3; ++t) {
        parameters.draw_gradients();
        optimizer.step(lr);
        for (std::size_t k = 0; k < expected.size(); ++k) {
          const std::int64_t r = expected[k].dim(-2), c = expected[k].dim(-1);
          const double larger = static_cast<double>(std::max(r, c)),
                       ratio = static_cast<double>(r) / static_cast<double>(c);
          const bool moonlight = form == MuonForm::moonlight;
          const double scale = moonlight ? 0.2 * std::sqrt(larger) : std::sqrt(std::max(1.0, ratio));
          const double take = moonlight ? 1 : 1 - mu;
          const Tensor u = Tensor::empty(expected[k].shape(), DType::f64);
          for (std::int64_t i = 0; i < u.numel(); ++i) {
            double& b = momentum[k].mutable_data<double>()[i];
            const double g = parameters[k].grad.at(i);
            b = mu * b + take * g;
            u.mutable_data<double>()[i] = nesterov ? take * g + mu * b : b;
          }
          const Tensor flat = u.reshape({-1, r, c}), p = expected[k].reshape({-1, r, c});
          for (std::int64_t j = 0; j < flat.dim(0); ++j) {
            const Tensor o = newton_schulz(flat.row(j)), pj = p.row(j);
            for (std::int64_t i = 0; i < r * c; ++i) {
              double& x = pj.mutable_data<double>()[i];
              x = x * (1 - lr * 0.1) - lr * scale * o.at(i);
            }
          }
          CAPTURE(parameters[k].name);
          CHECK(test::largest_relative_error(parameters[k].value, expected[k]) < 1e-12);
        }
      }
    }
}

TEST_CASE("both momenta give the same direction") {
  // On square matrices the forms differ by a factor of 0.2 √n alone, so that η_KJ = 0.2 √n η_ML makes them equal.
  const std::int64_t n = 36;
  const std::vector<test::Description> list = {{"a", Role::matrix, {n, n}}, {"b", Role::matrix, {2, n, n}}};
  OptimConfig moonlight = test::muon_config(), jordan = test::muon_config();
  moonlight.weight_decay = jordan.weight_decay = 0;
  jordan.muon_form = MuonForm::keller_jordan;
  const double lr = 1e-2, factor = 0.2 * std::sqrt(static_cast<double>(n));
  const auto a = run(list, moonlight, lr), b = run(list, jordan, lr * factor);
  for (std::size_t k = 0; k < list.size(); ++k) CHECK(test::largest_relative_error(a[k], b[k]) < 1e-6);
  CHECK(test::largest_relative_error(a[0], run(list, jordan, lr)[0]) > 1e-4);
}

TEST_CASE("weight decay takes the base learning rate") {
  for (const MuonForm form : {MuonForm::moonlight, MuonForm::keller_jordan}) {
    OptimConfig config = test::muon_config();
    config.muon_form = form;
    test::ParameterList parameters(kMatrices, DType::f64);
    const std::vector<Tensor> before = parameters.values();
    parameters.clear_gradients();  // no momentum either: the orthogonal matrix is zero
    Optimizer(parameters.pointers(), config).step(0.3);
    for (std::size_t k = 0; k < before.size(); ++k)
      for (std::int64_t i = 0; i < before[k].numel(); ++i)
        REQUIRE(parameters[k].value.at(i) == doctest::Approx(before[k].at(i) * (1 - 0.3 * 0.1)).epsilon(1e-14));
  }
}

TEST_CASE("updates of Moonlight's form have the size of AdamW's") {
  // Spec §13.2: 0.185 for usual shapes, 0.139 for 768 × 3.
  test::ParameterList parameters({{"square", Role::matrix, {256, 256}},
                                  {"wide", Role::matrix, {256, 688}},
                                  {"gate", Role::gate, {12, 256}},
                                  {"narrow", Role::matrix, {768, 3}}});
  Optimizer optimizer(parameters.pointers(), test::muon_config());
  optimizer.collect_statistics(true);
  parameters.draw_gradients();
  optimizer.step();
  const auto statistics = optimizer.statistics();
  for (std::size_t k = 0; k < 3; ++k) {
    CAPTURE(statistics[k].name);
    CHECK(statistics[k].update_rms > 0.175);
    CHECK(statistics[k].update_rms < 0.195);
  }
  CHECK(statistics[3].update_rms == doctest::Approx(0.139).epsilon(0.05));
}

TEST_CASE("bf16 products change the weights little, and only under Muon's f32") {
  OptimConfig config = test::muon_config(), bf16 = config;
  bf16.ns_precision = NewtonSchulzPrecision::bf16;
  config.weight_decay = bf16.weight_decay = 0;
  const auto start = run(kMatrices, config, 0, 1, DType::f32);
  const auto a = run(kMatrices, config, 1e-2, 1, DType::f32), b = run(kMatrices, bf16, 1e-2, 1, DType::f32);
  for (std::size_t k = 0; k < a.size(); ++k) {
    double difference = 0, update = 0;
    for (std::int64_t i = 0; i < a[k].numel(); ++i) {
      difference += std::pow(a[k].at(i) - b[k].at(i), 2);
      update += std::pow(a[k].at(i) - start[k].at(i), 2);
    }
    CHECK(std::sqrt(difference / update) < 0.06);
    CHECK(difference > 0);
  }
  CHECK(test::same_bits(run(kMatrices, config, 1e-2), run(kMatrices, bf16, 1e-2)));  // f64 stays f64
}

TEST_CASE("a matrix without a gradient is left alone and does not disturb its stack") {
  OptimConfig config = test::muon_config();
  test::ParameterList parameters(kMatrices, DType::f64), others(kMatrices, DType::f64);
  Optimizer optimizer(parameters.pointers(), config), other(others.pointers(), config);
  parameters.draw_gradients();
  others.draw_gradients();
  parameters[1].has_grad = false;  // shares a stack with "another" and "heads"
  others[1].grad.fill(0);
  const Tensor before = parameters[1].value.clone();
  optimizer.step(1e-2);
  other.step(1e-2);
  CHECK(test::same_bits(parameters[1].value, before));
  CHECK(test::same_bits(parameters[3].value, others[3].value));
  CHECK(test::same_bits(parameters[4].value, others[4].value));
  CHECK_FALSE(test::same_bits(others[1].value, before));  // decayed
}

}  // namespace blalm
