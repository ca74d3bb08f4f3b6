// Checkpoints: last/ and best/ (model folder, optimiser state, position) and chck_1M, … (model folders alone).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "blalm/data/loader.h"
#include "blalm/models/language_model.h"
#include "blalm/optim/optimizer.h"

namespace blalm {

// What is measured in a step.
struct StepNumbers {
  double loss = 0, lr = 0;
  double grad_norm = 0;  // global, before clipping
  double tokens_per_second = 0;
  std::string non_finite;  // the first parameter whose gradient was not finite, for which the step was skipped
};

// A validation and the step after which it was.
struct Validation {
  std::int64_t step = 0;
  double loss = 0;
};

// Where a run stands, beside the model and the optimiser.
struct RunPosition {
  std::int64_t step = 0;
  LoaderPosition loader;
  std::uint64_t loader_identity = 0;
  std::int64_t words = 0, tokens = 0;
  double seconds = 0;                    // of training
  double loss_sum = 0, loss_weight = 0;  // see recent_loss()
  std::optional<Validation> best, latest;
  std::int64_t validations_without_gain = 0;
  std::optional<StepNumbers> unfinished;  // of this step, when the validation after it was broken off

  // Mean loss of about the last 20 steps: each weighs 0.95 times what the one after it weighs, and the weights add up
  // to 1 from the first step on. Steps whose loss is not finite are left out.
  double recent_loss() const { return loss_sum / loss_weight; }
  void add_loss(double loss);
};

// Writes a checkpoint, RUN/last/ or RUN/best/, so that at any moment a complete one exists: into last.new/, then the
// old last/ becomes last.previous/ and last.new/ becomes last/. Its file DONE comes last, with size and XXH3-128 of
// every other file. DataError when it cannot be written: the old one is then untouched.
void save_checkpoint(const std::filesystem::path& run, const std::string& name, const LanguageModel& model,
                     const Optimizer& optimizer, const RunPosition& position, const std::string& tokenizer_json);

// The model alone, as RUN/NAME/ with tokenizer.json: atomic, and left alone if it is there.
void save_milestone(const std::filesystem::path& run, const std::string& name, const LanguageModel& model,
                    const std::string& tokenizer_json);

struct FoundCheckpoint {
  std::filesystem::path folder;
  RunPosition position;
  std::vector<std::string> refused;  // newer ones that are damaged: "last/model.safetensors: …"
};

// The newest checkpoint of a run whose files all are what DONE says. Nothing when there is none at all; DataError,
// naming what is wrong with each, when there are some but none is whole.
std::optional<FoundCheckpoint> find_checkpoint(const std::filesystem::path& run);

// The position in a checkpoint, when its files all are what DONE says.
std::optional<RunPosition> position_of(const std::filesystem::path& checkpoint);

// Puts the weights and the optimiser's state of a checkpoint into these. Throws as load_model and Optimizer::restore.
void load_checkpoint(const FoundCheckpoint& checkpoint, LanguageModel& model, Optimizer& optimizer);

}  // namespace blalm
