#include "models/language_model.h"

#include <doctest/doctest.h>

#include <array>
#include <set>
#include <thread>

#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/kernels/kernel.h"
#include "optim/optimizer.h"
#include "tests/models/support.h"

namespace blalm {
namespace {

using namespace test;

std::vector<Tensor> gradients(LanguageModel& model) {
  std::vector<Tensor> all;
  for (Parameter* p : model.parameters()) all.push_back(p->grad.clone());
  return all;
}

double norm(const Tensor& t) { return relative_error(t, Tensor::zeros(t.shape())); }

// Three steps of training; the weights after them.
std::vector<Tensor> train(const char* preset, std::uint64_t seed, OptimizerKind kind = OptimizerKind::muon) {
  LanguageModel model(small_config(preset), {.seed = seed});
  OptimConfig config;
  config.optimizer = kind;
  Optimizer optimizer(model.parameters(), config);
  for (std::uint64_t s = 0; s < 3; ++s) {
    run_step(model, random_ids(2, 33, 41, seed + s), random_ids(2, 33, 41, seed + s + 50));
    optimizer.step();
  }
  std::vector<Tensor> weights;
  for (Parameter* p : model.parameters()) weights.push_back(p->value);
  return weights;
}

}  // namespace

TEST_CASE("loss, token losses and logits tell the same story") {
  for (const double cap : {0.0, 2.0}) {
    ModelConfig config = small_config("full");
    config.logit_soft_cap = cap;
    LanguageModel model(config, {.dtype = DType::f64});
    perturb(model);
    const Tensor ids = random_ids(2, 21, 41);
    Tensor targets = random_ids(2, 21, 41, 3);
    targets.mutable_data<std::int32_t>()[5] = ops::kIgnore;
    const Tensor z = logits(model, ids), losses = model.token_losses(ids, targets);
    CHECK(losses.shape() == Shape{2, 21});
    double sum = 0;
    for (std::int64_t i = 0; i < 42; ++i) {
      const std::int32_t target = targets.data<std::int32_t>()[i];
      double total = 0;
      for (std::int64_t v = 0; v < 41; ++v) total += std::exp(z.at(i * 41 + v));
      const double expected = target == ops::kIgnore ? 0 : std::log(total) - z.at(i * 41 + target);
      REQUIRE(losses.at(i) == doctest::Approx(expected).epsilon(1e-9));
      sum += expected;
    }
    CHECK(run_step(model, ids, targets) == doctest::Approx(sum / 41).epsilon(1e-9));
  }
}

TEST_CASE("bf16 stays near f32, and its gradients are f32") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    LanguageModel model(small_config(preset));
    perturb(model, 0.05);
    const Tensor ids = random_ids(2, 33, 41), targets = random_ids(2, 33, 41, 3);
    const double exact = run_step(model, ids, targets);
    const Tensor z = logits(model, ids);
    const std::vector<Tensor> expected = gradients(model);
    model.run.precision = Precision::bf16();
    CHECK(run_step(model, ids, targets) == doctest::Approx(exact).epsilon(1e-2));
    const Tensor rough = logits(model, ids);
    CHECK(rough.dtype() == DType::f32);
    CHECK(relative_error(rough, z) < 3e-2);
    CHECK_FALSE(same_bits(rough, z));
    const std::vector<Parameter*> parameters = model.parameters();
    double whole = 0;
    for (const Tensor& g : expected) whole = std::hypot(whole, norm(g));
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      CAPTURE(parameters[i]->name);
      CHECK(parameters[i]->grad.dtype() == DType::f32);
      // Gradients of the gates' biases are small differences of large terms: rounding leaves them an absolute error.
      const double error = relative_error(parameters[i]->grad, expected[i]) * norm(expected[i]);
      CHECK(error < 0.1 * norm(expected[i]) + 1e-3 * whole);
    }
  }
}

TEST_CASE("recomputing layers gives the same bits and keeps less") {
  for (const char* preset : {"transformer", "full"}) {
    CAPTURE(preset);
    LanguageModel model(small_config(preset));
    perturb(model);
    const Tensor ids = random_ids(2, 33, 41), targets = random_ids(2, 33, 41, 3);
    std::array<std::int64_t, 2> saved{};
    std::array<std::vector<Tensor>, 2> results;
    for (const bool again : {false, true}) {
      model.run.recompute = again;
      for (Parameter* p : model.parameters()) p->zero_grad();
      Tape tape;
      const Var loss = model.loss(tape, ids, targets);
      saved[again ? 1 : 0] = tape.saved_bytes();
      tape.backward(loss);
      results[again ? 1 : 0] = gradients(model);
      results[again ? 1 : 0].push_back(loss.value());
    }
    CHECK(same_bits(results[0], results[1]));
    CHECK(saved[1] * 3 < saved[0]);
  }
}

TEST_CASE("same seed, same bits; the number of threads does not matter") {
  for (const char* preset : {"transformer", "full"})
    for (const OptimizerKind kind : {OptimizerKind::adamw, OptimizerKind::muon}) {
      const auto once = train(preset, 3, kind);
      CHECK(same_bits(once, train(preset, 3, kind)));
      CHECK_FALSE(same_bits(once, train(preset, 4, kind)));
      // Of oneDNN's products this is not promised.
      const KernelChoice cpu({.backend = Backend::cpu, .composed = false, .forced = {}});
      const int threads = num_threads();
      const auto many = train(preset, 3, kind);
      set_num_threads(threads == 1 ? 3 : 1);
      CHECK(same_bits(many, train(preset, 3, kind)));
      set_num_threads(threads);
    }
}

TEST_CASE("two models train at the same time on two threads") {
  const auto full = train("full", 3), transformer = train("transformer", 9, OptimizerKind::adamw);
  for (int repeat = 0; repeat < 3; ++repeat) {
    std::vector<Tensor> a, b;
    std::thread one([&] { a = train("full", 3); });
    std::thread two([&] { b = train("transformer", 9, OptimizerKind::adamw); });
    one.join();
    two.join();
    CHECK(same_bits(a, full));
    CHECK(same_bits(b, transformer));
  }
}

TEST_CASE("parameters have their names and roles, and the tape knows modules by scope") {
  LanguageModel model(small_config("full"));
  std::set<std::string> names;
  for (const Parameter* p : model.parameters()) CHECK(names.insert(p->name).second);
  const std::pair<const char*, Role> expected[] = {
      {"model.embed_tokens.weight", Role::embedding},
      {"model.layers.1.mlstm.q_proj.weight", Role::matrix},
      {"model.layers.1.mlstm.igate.weight", Role::gate},
      {"model.layers.1.mlstm.igate.bias", Role::vector},
      {"model.layers.1.mlstm.v_conv.weight", Role::convolution},
      {"model.layers.1.mlstm.k_hedgehog.weight", Role::matrix},
      {"model.layers.1.mlstm.k_hedgehog.bias", Role::vector},
      {"model.layers.1.mlstm.swa_alpha", Role::scalar},
      {"model.layers.1.mlstm.head_norm.weight", Role::vector},
      {"model.layers.1.mlp.down_proj.weight", Role::matrix},
      {"model.norm.weight", Role::vector},
  };
  for (const auto& [parameter, role] : expected) {
    const std::string name(parameter);  // clang++ 14 captures no structured binding
    CAPTURE(name);
    REQUIRE(model.find(name) != nullptr);
    CHECK(model.find(name)->role == role);
  }
  CHECK(model.find("model.nothing") == nullptr);

  Tape tape;
  model.loss(tape, random_ids(1, 20, 41), random_ids(1, 20, 41));
  std::set<std::string> scopes;
  for (const Node& node : tape.nodes()) scopes.insert(tape.scope_name(node.scope));
  for (const char* scope :
       {"embed_tokens", "layers.1.mlstm", "layers.1.mlstm.out_proj", "layers.0.mlstm.conv", "layers.0.mlstm.head_norm",
        "layers.0.mlstm.swa", "layers.1.mlp.down_proj", "norm", "lm_head"}) {
    CAPTURE(scope);
    CHECK(scopes.contains(scope));
  }
}

TEST_CASE("each channel or head has an alpha of its own") {
  for (const auto& [scope, count] : {std::pair(ModulationScope::layer, 1), std::pair(ModulationScope::head, 2),
                                     std::pair(ModulationScope::channel, 32)}) {
    ModelConfig config = small_config("swa-dynmod");
    config.modulation_scope = scope;
    LanguageModel model(config);
    const Parameter* alpha = model.find("model.layers.0.mlstm.swa_alpha");
    REQUIRE(alpha != nullptr);
    CHECK(alpha->value.shape() == Shape{count});
  }
}

TEST_CASE("alphas can be learned under every modulation") {
  for (int kind = 1; kind < 6; ++kind) {
    CAPTURE(kind);
    ModelConfig config = small_config("swa-dynmod");
    config.swa_modulation = static_cast<ops::Modulation>(kind);
    LanguageModel model(config);
    run_step(model, random_ids(2, 20, 41), random_ids(2, 20, 41, 3));
    CHECK(std::abs(model.find("model.layers.0.mlstm.swa_alpha")->grad.item()) > 0);
  }
}

TEST_CASE("ids that do not fit are refused") {
  LanguageModel model(small_config("full"));
  Tape tape;
  const Tensor ids = random_ids(2, 5, 41);
  CHECK_THROWS_AS(model.logits(tape, Tensor::full({2, 5}, 41, DType::i32)), DataError);
  CHECK_THROWS_AS(model.logits(tape, Tensor::full({2, 5}, -1, DType::i32)), DataError);
  CHECK_THROWS_AS(model.logits(tape, Tensor()), ShapeError);
  CHECK_THROWS_AS(model.logits(tape, Tensor::zeros({2, 5})), ShapeError);
  CHECK_THROWS_AS(model.logits(tape, ids.reshape({10})), ShapeError);
  CHECK_THROWS_AS(model.logits(tape, Tensor::zeros({0, 5}, DType::i32)), DataError);
  CHECK_THROWS_AS(model.logits(tape, Tensor::zeros({2, 0}, DType::i32)), DataError);
  CHECK_THROWS_AS(model.loss(tape, ids, random_ids(2, 6, 41)), ShapeError);
  CHECK_THROWS_AS(model.loss(tape, ids, Tensor::full({2, 5}, 41, DType::i32)), DataError);
  CHECK_THROWS_AS(model.token_losses(ids, Tensor()), ShapeError);
}

}  // namespace blalm
