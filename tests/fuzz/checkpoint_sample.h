// The smallest run that has a checkpoint: apart from samples.h, for it needs models and optimisers.
#pragma once

#include <limits>

#include "apps/train/checkpoint.h"
#include "engine/core/parallel.h"
#include "tests/fuzz/fuzz.h"

namespace blalm::fuzz {

struct CheckpointSample {
  // Writes RUN/last/.
  explicit CheckpointSample(const std::filesystem::path& run) {
    RunPosition position;
    position.step = 7;
    position.loader = {1, 2};
    position.words = 900;
    position.tokens = 1200;
    position.add_loss(3.5);
    position.best = {5, 3.25};
    position.latest = {6, 3.5};
    position.skipped = {1, 7, "model.norm.weight"};
    position.unfinished = {{3.5, 1e-3, std::numeric_limits<double>::infinity(), 1000, "model.norm.weight"}};
    save_checkpoint(run, model, optimizer, position, {{"tokenizer.json", "{}"}}, true);
  }

  static ModelConfig config() {
    set_num_threads(1);
    ModelConfig config;
    apply_preset(config, "transformer");
    config.vocab_size = 4;
    config.hidden_size = 4;
    config.num_hidden_layers = 1;
    config.num_attention_heads = 2;
    config.intermediate_size = 4;
    return config;
  }

  LanguageModel model{config()};
  Optimizer optimizer{model.parameters(), {.optimizer = OptimizerKind::muon}};
};

}  // namespace blalm::fuzz
