// Checkpoints: last/ (model folder, optimiser state, position), best/ (the same without the optimiser's state) and
// chck_1M, … (model folders alone).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/tokenizer_files.h"
#include "data/shards/loader.h"
#include "models/language_model.h"
#include "optim/optimizer.h"

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

// The steps up to now that were skipped in a row.
struct SkippedSteps {
  std::int64_t count = 0;
  std::int64_t first = 0;  // the first of them
  std::string parameter;   // the first whose gradient was not finite then
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
  SkippedSteps skipped;
  std::optional<StepNumbers> unfinished;  // of this step, when the validation after it was broken off

  // Mean loss of about the last 20 steps: each weighs 0.95 times what the one after it weighs, and the weights add up
  // to 1 from the first step on. Steps whose loss is not finite are left out.
  double recent_loss() const { return loss_sum / loss_weight; }
  void add_loss(double loss);
};

// All that is saved here throws DataError when it cannot be written, for whatever reason, and NumericError when a
// weight is not finite; what was saved before is then untouched. A link in place of a folder is replaced, not followed.

// Writes RUN/last/ so that at any moment a complete checkpoint exists: into last.new/, then the old last/ becomes
// last.previous/ and last.new/ becomes last/. Its file DONE comes last, with size and XXH3-128 of every other file.
// last.previous/ goes afterwards unless it is kept, and before where there is no room for three.
void save_checkpoint(const std::filesystem::path& run, const LanguageModel& model, const Optimizer& optimizer,
                     const RunPosition& position, const TokenizerFiles& tokenizer, bool keep_previous);
// RUN/best/, in the same way, without the optimiser's state and without one before it.
void save_best(const std::filesystem::path& run, const LanguageModel& model, const RunPosition& position,
               const TokenizerFiles& tokenizer);
// The model alone, as RUN/NAME/ with its tokenizer: left alone if it is there.
void save_milestone(const std::filesystem::path& run, const std::string& name, const LanguageModel& model,
                    const TokenizerFiles& tokenizer);

// Removes what processes that were killed had not finished in a run's folder.
void remove_unfinished(const std::filesystem::path& run);

// NumericError that names the first parameter with a value that is not finite.
void require_finite(const LanguageModel& model);

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
