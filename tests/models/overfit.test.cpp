// Spec §15 T9: every preset learns a batch of 64 tokens by heart, with both optimisers.
#include <doctest/doctest.h>

#include "optim/optimizer.h"
#include "tests/models/support.h"

namespace blalm {
namespace {

using namespace test;

// Steps until the loss is below 0.1, at most 300.
int steps_to_learn(const std::string& preset, OptimizerKind kind, const Precision& precision) {
  ModelConfig config = small_config(preset);
  config.vocab_size = 64;
  config.hidden_size = 64;
  config.intermediate_size = 0;
  LanguageModel model(config);
  model.run.precision = precision;
  OptimConfig optim;
  optim.optimizer = kind;
  optim.lr = 1e-2;
  Optimizer optimizer(model.parameters(), optim);
  const Tensor ids = random_ids(1, 64, 64), targets = random_ids(1, 64, 64, 3);
  for (int step = 1; step <= 300; ++step) {
    if (run_step(model, ids, targets) < 0.1) return step;
    optimizer.step();
  }
  return 301;
}

}  // namespace

TEST_CASE("the mLSTM learns a batch by heart") {
  CHECK(steps_to_learn("mlstm", OptimizerKind::muon, Precision::f32()) <= 300);
}

TEST_SUITE("slow") {
  TEST_CASE("every preset learns a batch by heart, with both optimisers") {
    for (const std::string& preset : preset_names())
      for (const OptimizerKind kind : {OptimizerKind::adamw, OptimizerKind::muon})
        for (const Precision& precision : {Precision::f32(), Precision::bf16()}) {
          CAPTURE(preset);
          CAPTURE(static_cast<int>(kind));
          CHECK(steps_to_learn(preset, kind, precision) <= 300);
        }
  }
}

}  // namespace blalm
