// The training loop (spec §13.6): micro-batches, clipping, optimiser, schedule, validation, checkpoints.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/common/run_config.h"
#include "apps/train/checkpoint.h"
#include "apps/train/evaluate.h"
#include "apps/train/metrics.h"
#include "apps/train/remaining_time.h"
#include "apps/train/validation_plan.h"
#include "data/shards/loader.h"
#include "data/tokenizer/tokenizer.h"
#include "optim/optimizer.h"

namespace blalm {

// What happened in one optimiser step, its validation included.
struct StepReport {
  std::int64_t step = 0, total = 0;
  RunPosition position;
  double epoch = 0;  // 1.25: a quarter of the second pass
  StepNumbers numbers;
  std::optional<Evaluation> valid;        // over the sample of every validation
  std::optional<Evaluation> valid_final;  // after the last step, where it took in more than the sample
  double remaining = 0;                   // seconds, estimated
  bool is_best = false;                   // no validation so far had a smaller loss
  bool sample_now = false, histogram_now = false;
};

// Equal for the same data, wherever it lies: fingerprint of the tokenizer, checksums of the tokens; no text is "".
struct DataId {
  std::string tokenizer, train, valid;

  bool operator==(const DataId&) const = default;
};

class Trainer {
 public:
  // `data` is a prepared folder made with `tokenizer`; config must be resolved. Everything is ready for step 1.
  Trainer(RunConfig config, const std::filesystem::path& data, const Tokenizer& tokenizer);

  // Takes the weights of a model folder, whose configuration is that of the run. Throws as load_model.
  void begin_with(const std::filesystem::path& model);
  // Continues from a checkpoint. ConfigError or DataError when it does not fit config or data.
  void resume(const FoundCheckpoint& checkpoint);
  // Saves into this folder from now on: models at milestones, and what is asked for. What an earlier process left
  // there unfinished goes. DataError when two checkpoints have no room there.
  void save_into(const std::filesystem::path& run);
  // Bytes of last/ and of best/.
  std::int64_t checkpoint_bytes() const;
  std::int64_t best_bytes() const;
  // NumericError unless all weights are finite, and the loss that they give on a sequence of the last step.
  void require_finite() const;
  void save();  // as require_finite() says, too
  void save_best();

  // Held-out loss before the first step, from which the best counts. Nothing when it was broken off.
  std::optional<Evaluation> validate_first();
  // One optimiser step and the validation that is due after it. NumericError, in anomaly mode. Nothing when the
  // validation was broken off: the step itself is done, and finish_step() makes up for the rest, now or after resume().
  std::optional<StepReport> step();
  std::optional<StepReport> finish_step();
  // Makes the step that finish_step() has finished an unfinished one again: its report is given once more.
  void reopen_step();
  bool is_unfinished() const { return position_.unfinished.has_value(); }
  bool finished() const { return !is_unfinished() && (stopped_ || position_.step >= total_); }
  // During validations from now on: told of blocks done and blocks in all after every batch; false breaks off.
  void watch_validation(std::function<bool(std::int64_t, std::int64_t)> watch) { watch_ = std::move(watch); }
  // From now on told of micro-batches done in a step and in all, after each.
  void watch_step(std::function<void(std::int64_t, std::int64_t)> watch) { watch_step_ = std::move(watch); }

  RunConfig& config() { return config_; }  // with the vocabulary of the tokenizer
  const RunConfig& config() const { return config_; }
  std::int64_t total_steps() const { return total_; }
  // Those of a run with other values of optim.steps and train.epochs.
  std::int64_t total_steps(std::int64_t steps, std::int64_t epochs) const;
  std::int64_t parameters() const;  // numbers in the model
  DataId data_id() const;
  const RunPosition& position() const { return position_; }
  LanguageModel& model() { return *model_; }
  const Optimizer& optimizer() const { return *optimizer_; }
  bool has_validation() const { return valid_.has_value(); }
  const ValidationPlan& validations() const { return validations_; }
  bool stopped_early() const { return stopped_; }
  // What could not be saved of milestones since the last call, and why.
  std::vector<std::string> take_lost_milestones() { return std::exchange(lost_, {}); }

 private:
  bool due(const Amount& every) const { return due_at(position_.step, total_, every); }
  bool out_of_patience() const;
  double micro_batches(LineCounts& seen);
  void keep_milestones(std::int64_t words_before);
  // Over the sample, and after it where there is more of it over the first `blocks`.
  std::optional<std::vector<Evaluation>> validate(std::int64_t blocks);
  std::int64_t validation_blocks_left() const;
  void count_time();

  RunConfig config_;
  TokenizerFiles tokenizer_files_;
  TokenData train_;
  std::optional<TokenData> valid_;
  std::unique_ptr<LanguageModel> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<Loader> loader_;
  std::vector<Batch> overfit_;
  Batch probe_;  // a sequence of the last step, on which weights are tried before they are saved
  Tape tape_;
  RunPosition position_;
  std::optional<RunPosition> unfinished_;  // the position before finish_step()
  std::chrono::steady_clock::time_point counted_ = std::chrono::steady_clock::now();  // wall time up to here
  std::int64_t total_ = 0;
  bool stopped_ = false;
  std::filesystem::path run_;
  ValidationPlan validations_;
  RemainingTime remaining_;
  std::function<bool(std::int64_t, std::int64_t)> watch_;
  std::function<void(std::int64_t, std::int64_t)> watch_step_;
  std::vector<std::string> lost_;
};

}  // namespace blalm
