// One run of training, from its first step or a checkpoint to its end: what people see of it and what it leaves.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "blalm/apps/common/processor_wait.h"
#include "blalm/apps/common/progress.h"
#include "blalm/apps/train/event_file.h"
#include "blalm/apps/train/run_folder.h"
#include "blalm/apps/train/trainer.h"
#include "blalm/core/error.h"

namespace blalm {

class Run {
 public:
  // `folder` is null in a dry run. DataError for a sample prompt that cannot be encoded.
  Run(RunConfig& config, RunFolder* folder, Trainer& trainer, const Tokenizer& tokenizer);

  // Prints a line and puts it into log.txt.
  void say(const std::string& line);
  // All steps that are left, and the held-out loss before the first; stop signals (signals.h) end them after the
  // current step or in the middle of a validation, with a checkpoint. What is thrown on the way is noted in the folder
  // first.
  ExitCode train();

 private:
  ExitCode take_steps();
  void validate_first();
  void record(const StepReport& report);
  void show(const StepReport& report);
  void show_micro_batch(std::int64_t done, std::int64_t total);
  void write_numbers(const StepReport& report);
  void write_validation(std::int64_t step, const Evaluation& valid);
  void watch_processors();
  void draw_samples(std::int64_t step);
  bool save();
  void save_best();
  std::string best_line() const;
  void finish(const std::string& state);
  void note_failure(const std::string& what) noexcept;

  RunConfig& config_;
  RunFolder* folder_;
  Trainer& trainer_;
  const Tokenizer& tokenizer_;
  Progress progress_;
  std::optional<Metrics> metrics_;
  std::optional<EventFile> events_;
  std::chrono::steady_clock::time_point saved_, shown_;
  ProcessorWait processors_;
  bool told_of_wait_ = false;
  double tokens_per_second_ = 0;
  std::int64_t steps_ = 0;
};

}  // namespace blalm
