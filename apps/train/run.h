// One run of training, from its first step or a checkpoint to its end: what people see of it and what it leaves.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "apps/common/processor_wait.h"
#include "apps/common/progress.h"
#include "apps/train/event_file.h"
#include "apps/train/run_folder.h"
#include "apps/train/trainer.h"
#include "engine/core/error.h"

namespace blalm {

class Run {
 public:
  // `folder` is null in a dry run; `saved` is the step of its checkpoint, if it has one. DataError for a sample prompt
  // that cannot be encoded.
  Run(RunConfig& config, RunFolder* folder, Trainer& trainer, const Tokenizer& tokenizer,
      std::optional<std::int64_t> saved = {});

  // Of the folder, to go on from where the trainer stands: metrics.csv, samples.txt, events. Before train().
  void open_files();
  // Prints a line and puts it into log.txt.
  void say(const std::string& line);
  // All steps that are left, and the held-out loss before the first; stop signals (signals.h) end them after the
  // current step or in the middle of a validation, with a checkpoint. NumericError when train.max_skipped steps in a
  // row were skipped, or when the end has numbers that are not finite. What is thrown is noted in the folder first.
  ExitCode train();

 private:
  ExitCode take_steps();
  void validate_first();
  void record_or_save(const StepReport& report);
  void record(const StepReport& report);
  void show(const StepReport& report);
  void show_micro_batch(std::int64_t done, std::int64_t total);
  void show_step_begun(const std::string& how_far);
  void write_numbers(const StepReport& report);
  void write_validation(std::int64_t step, const Evaluation& valid);
  void watch_processors();
  void draw_samples(std::int64_t step);
  bool save();
  void save_best();
  void stop_if_skipping() const;
  void require_finite_weights() const;
  void require_good_end() const;
  [[noreturn]] void fail_numerically(const std::string& expected, const std::string& got) const;
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
  std::chrono::steady_clock::time_point saved_;  // the last try
  bool tried_ = false;                           // to save
  std::optional<std::int64_t> last_step_;        // of the checkpoint in last/
  std::chrono::steady_clock::time_point shown_;  // the line of progress of a whole step
  ProcessorWait processors_;
  bool told_of_wait_ = false;
  double tokens_per_second_ = 0;
  std::int64_t steps_ = 0;
};

}  // namespace blalm
