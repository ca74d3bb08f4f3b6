// What is measured: a model, the sequences that it sees, and how it runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/common/options.h"
#include "apps/common/precision.h"
#include "apps/common/run_config.h"
#include "apps/common/settings.h"
#include "data/shards/loader.h"
#include "models/language_model.h"

namespace blalm::bench {

struct Workload {
  std::string preset = "mlstm", size = "small";
  std::int64_t vocab = 16000, batch = 8, seq = 512, micro_batch = 0;
  PrecisionChoice precision = PrecisionChoice::automatic;
  std::int64_t threads = 0, repeats = 7, warmup = 2;
  bool recompute = false;
  KernelPolicy kernels;
  ModelConfig model;
  OptimConfig optim;

  // Options of all benchmarks, and those that some add. They refer to this struct.
  Fields fields();
  Fields sequence_fields();
  Fields training_fields();
  Fields optimizer_settings();  // [optim], without the schedule: a step costs the same at any learning rate

  // Puts together preset, size, options and then `given` settings, and replaces automatic values. Throws ConfigError.
  void resolve(const std::vector<Setting>& given, const Fields& settings);
  std::string optimizer_name() const { return optim.optimizer == OptimizerKind::muon ? "muon" : "adamw"; }
  std::int64_t tokens() const { return batch * seq; }
};

// With drawn weights, running as the workload says.
std::unique_ptr<LanguageModel> make_model(const Workload& workload);
// Ids i32 [batch, length] drawn evenly from the vocabulary.
Tensor random_ids(Rng& rng, std::int64_t batch, std::int64_t length, std::int64_t vocab);
// One step's sequences in micro-batches. Targets are drawn like ids: a step costs the same whatever the text.
std::vector<Batch> random_batches(const Workload& workload);

// "mlstm small: 17.0 M parameters, bf16, 2 threads"
// "bf16, 2 threads"
std::string how(const Workload& workload);
std::string title(const Workload& workload, std::int64_t parameters);

}  // namespace blalm::bench
