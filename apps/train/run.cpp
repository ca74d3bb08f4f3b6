#include "apps/train/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "apps/common/generation/generator.h"
#include "apps/common/generation/prompt.h"
#include "apps/common/generation/text_rules.h"
#include "apps/common/output.h"
#include "apps/common/shell_word.h"
#include "apps/common/signals.h"
#include "engine/core/error.h"
#include "engine/core/number.h"
#include "engine/core/parallel.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string in_words(const Evaluation& e) {
  return fmt::format("held-out loss {:.4f}, perplexity {:.2f}, {:.4f} bits a byte", e.loss, e.perplexity(),
                     e.bits_per_byte);
}

}  // namespace

Run::Run(RunConfig& config, RunFolder* folder, Trainer& trainer, const Tokenizer& tokenizer,
         std::optional<std::int64_t> saved)
    : config_(config), folder_(folder), trainer_(trainer), tokenizer_(tokenizer), last_step_(saved) {
  const TextRules rules(trainer_.model(), tokenizer_);
  for (const std::string& prompt : config_.train.prompts) rules.prompt_ids(prompt_text(prompt));  // now, not in an hour
  trainer_.watch_validation([this](std::int64_t done, std::int64_t total) {
    progress_.update(fmt::format("held-out text: {} of {} blocks", done, total), static_cast<double>(done),
                     static_cast<double>(total));
    return !StopSignals::requested();
  });
  trainer_.watch_step([this](std::int64_t done, std::int64_t total) { show_micro_batch(done, total); });
}

void Run::open_files() {
  if (folder_ == nullptr) return;
  // What files say of an unfinished step is said again when it is finished.
  const std::int64_t step = trainer_.position().step - (trainer_.is_unfinished() ? 1 : 0);
  metrics_.emplace(folder_->path() / "metrics.csv", step);
  folder_->keep_samples(step);
  events_.emplace(folder_->path(), "blalm", step);
  progress_.copy_to([this](const std::string& line) { folder_->log(line); });
}

void Run::say(const std::string& line) {
  progress_.line(line);
  if (folder_ != nullptr) folder_->log(line);
}

ExitCode Run::train() {
  try {
    return take_steps();
  } catch (const std::exception& e) {
    progress_.clear();
    note_failure(e.what());
    throw;
  }
}

ExitCode Run::take_steps() {
  saved_ = shown_ = Clock::now();
  if (folder_ != nullptr) folder_->write_summary(trainer_, "running");
  const std::int64_t enough = config_.train.dry_run > 0 ? config_.train.dry_run : trainer_.total_steps();
  if (trainer_.position().step == 0) validate_first();
  if (!trainer_.finished()) show_step_begun("begins");
  while (!trainer_.finished() && !StopSignals::requested() &&
         (trainer_.is_unfinished() || trainer_.position().step < enough))
    if (const auto report = trainer_.is_unfinished() ? trainer_.finish_step() : trainer_.step())
      record_or_save(*report);
  progress_.clear();
  const bool interrupted = !trainer_.finished() && StopSignals::requested();
  finish(interrupted ? "interrupted" : trainer_.stopped_early() ? "stopped early" : "finished");
  return interrupted ? ExitCode::kInterrupted : ExitCode::kDone;
}

void Run::validate_first() {
  if (!trainer_.has_validation() || config_.train.overfit > 0) return;
  const std::optional<Evaluation> valid = trainer_.validate_first();
  if (!valid) return;
  say("step 0: " + in_words(*valid));
  if (folder_ == nullptr) return;
  MetricsRow row;
  row.seconds = trainer_.position().seconds;
  row.valid_loss = valid->loss;
  row.bits_per_byte = valid->bits_per_byte;
  metrics_->add(row);
  write_validation(0, *valid);
  events_->flush();
  save_best();
}

// Where a step cannot be recorded (a full disk), the run ends; what it has learned is saved first if that finds room,
// and is recorded when the run goes on.
void Run::record_or_save(const StepReport& r) {
  try {
    record(r);
  } catch (const DataError&) {
    trainer_.reopen_step();
    if (folder_ != nullptr) save();
    throw;
  }
}

void Run::record(const StepReport& r) {
  const double speed = r.numbers.tokens_per_second;
  tokens_per_second_ = steps_ == 0 ? speed : 0.9 * tokens_per_second_ + 0.1 * speed;
  ++steps_;
  if (!r.numbers.non_finite.empty())
    say(fmt::format("step {}: skipped, the gradient of {} is not finite", r.step, r.numbers.non_finite));
  write_numbers(r);
  show(r);
  watch_processors();
  if (r.valid) say(fmt::format("step {}: {}", r.step, in_words(*r.valid)));
  if (r.valid_final)
    say(fmt::format("{} of the held-out text: {}",
                    r.valid_final->blocks == trainer_.validations().blocks
                        ? "all"
                        : fmt::format("{} of {} blocks", r.valid_final->blocks, trainer_.validations().blocks),
                    in_words(*r.valid_final)));
  stop_if_skipping();
  if (r.sample_now && !config_.train.prompts.empty() && config_.train.overfit == 0) draw_samples(r.step);
  if (folder_ == nullptr) return;
  for (const std::string& lost : trainer_.take_lost_milestones()) say("could not be saved: " + lost);
  if (r.is_best) save_best();
  const bool is_first = !tried_ && !last_step_;  // a disk that cannot hold it is met now, not in an hour
  if (is_first || Clock::now() - saved_ > std::chrono::duration<double>(60 * config_.train.save_minutes)) save();
}

void Run::stop_if_skipping() const {
  const SkippedSteps& skipped = trainer_.position().skipped;
  if (config_.train.max_skipped == 0 || skipped.count < config_.train.max_skipped) return;
  fail_numerically("finite gradients", fmt::format("{} skipped steps in a row (train.max_skipped), from step {} on, "
                                                   "where that of {} was the first",
                                                   skipped.count, skipped.first, skipped.parameter));
}

void Run::require_finite_weights() const {
  const RunPosition& p = trainer_.position();
  try {
    trainer_.require_finite();
  } catch (const NumericError&) {
    if (p.skipped.count == 0) fail_numerically("weights that give a finite loss at the end", "others");
    fail_numerically("finite weights at the end",
                     fmt::format("{} skipped steps in a row, from step {} on, where the gradient of {} was the first",
                                 p.skipped.count, p.skipped.first, p.skipped.parameter));
  }
}

// What must not be called finished, though its weights are finite.
void Run::require_good_end() const {
  const RunPosition& p = trainer_.position();
  if (p.step > 0 && trainer_.optimizer().updates() == 0)
    fail_numerically("finite gradients",
                     fmt::format("none in {} steps, in the first for that of {}", p.step, p.skipped.parameter));
  if (p.latest && !std::isfinite(p.latest->loss))
    fail_numerically("a finite held-out loss", fmt::format("{}", without_nan_sign(p.latest->loss)));
}

void Run::fail_numerically(const std::string& expected, const std::string& got) const {
  const bool is_rounded = config_.train.precision == PrecisionChoice::bf16;
  const std::optional<Validation>& best = trainer_.position().best;
  const std::string there = folder_ == nullptr ? ""
                            : last_step_       ? fmt::format("; the last checkpoint is of step {}", *last_step_)
                            : best ? fmt::format("; no checkpoint was saved, best/ has the model of step {}", best->step)
                                   : "; no checkpoint was saved";
  throw NumericError(
      expected_got("train", expected, got,
                   fmt::format("try an optim.lr below {:g}, {}{}", config_.optim.lr,
                               is_rounded ? "or train.precision f32" : "or --anomaly to see where it begins", there)));
}

void Run::show(const StepReport& r) {
  shown_ = Clock::now();
  const double loss = std::isfinite(r.numbers.loss) ? r.position.recent_loss() : r.numbers.loss;
  const std::string total = std::to_string(r.total);
  progress_.update({{fmt::format("step {:>{}}/{}", r.step, total.size(), total)},
                    {fmt::format("epoch {:.2f}", r.epoch), 4},
                    {fmt::format("words {:>5}", human_count(static_cast<double>(r.position.words)))},
                    {fmt::format("loss {:.4f}", without_nan_sign(loss))},
                    {fmt::format("norm {:.2f}", without_nan_sign(r.numbers.grad_norm)), 1},
                    {fmt::format("lr {:.2e}", r.numbers.lr), 3},
                    {fmt::format("{:>5} tok/s", human_count(tokens_per_second_))},
                    {fmt::format("{} elapsed", human_time(r.position.seconds)), 2},
                    {fmt::format("{} left", human_time(r.remaining))}},
                   static_cast<double>(r.step), static_cast<double>(r.total), r.step == 1 || r.step == r.total);
}

// Of a step that takes long.
void Run::show_micro_batch(std::int64_t done, std::int64_t total) {
  if (done == total || Clock::now() - shown_ < std::chrono::seconds(1)) return;
  show_step_begun(fmt::format("micro-batch {} of {}", done, total));
}

void Run::show_step_begun(const std::string& how_far) {
  const std::int64_t step = trainer_.position().step, steps = trainer_.total_steps();
  progress_.update({{fmt::format("step {}/{}", step + 1, steps)}, {how_far}}, static_cast<double>(step),
                   static_cast<double>(steps));
}

// Once in a run: that others take the processors explains steps that vary, and what to do.
void Run::watch_processors() {
  constexpr double kLongEnough = 10, kMuch = 0.2;  // seconds, share of the time
  if (told_of_wait_ || processors_.seconds() < kLongEnough) return;
  const double share = processors_.share(num_threads()).value_or(0);
  processors_.restart();
  if (share < kMuch) return;
  told_of_wait_ = true;
  say(fmt::format("slow       {} {} for a processor {:.0f}% of the time, because of other programs or a quota{}",
                  num_threads() == 1 ? "the thread" : fmt::format("the {} threads", num_threads()),
                  num_threads() == 1 ? "waits" : "wait", 100 * share,
                  num_threads() == 1 ? "" : "; --train.threads with fewer may be faster meanwhile"));
}

void Run::write_numbers(const StepReport& r) {
  if (folder_ == nullptr) return;
  const StepNumbers& n = r.numbers;
  MetricsRow row{r.step, r.position.words, r.position.tokens,  r.position.seconds, n.loss, {}, {},
                 n.lr,   n.grad_norm,      n.tokens_per_second};
  if (r.valid) {
    row.valid_loss = r.valid->loss;
    row.bits_per_byte = r.valid->bits_per_byte;
  }
  metrics_->add(row);
  for (const auto& [tag, value] : {std::pair<const char*, double>{"loss/train", n.loss},
                                   {"optim/lr", n.lr},
                                   {"optim/grad_norm", n.grad_norm},
                                   {"speed/tokens_per_second", n.tokens_per_second}})
    events_->scalar(tag, r.step, value);
  if (r.valid) write_validation(r.step, *r.valid);
  if (r.histogram_now)
    for (const Parameter* p : std::as_const(trainer_.model()).parameters()) {
      events_->histogram("weights/" + p->name, r.step, p->value);
      if (p->has_grad) events_->histogram("gradients/" + p->name, r.step, p->grad);
    }
  events_->flush();
}

void Run::write_validation(std::int64_t step, const Evaluation& valid) {
  events_->scalar("loss/valid", step, valid.loss);
  events_->scalar("loss/valid_bits_per_byte", step, valid.bits_per_byte);
}

// What `blalm generate` would say now. The same seed draws the same numbers at every step, so that samples of
// different steps can be compared.
void Run::draw_samples(std::int64_t step) {
  const std::vector<std::string>& prompts = config_.train.prompts;
  std::string all;
  try {
    const std::vector<GeneratedText> texts =
        generate(trainer_.model(), tokenizer_, prompts,
                 {.sampler = {}, .max_tokens = config_.train.sample_tokens, .seed = config_.train.seed, .stop = {}});
    for (std::size_t i = 0; i < texts.size(); ++i) {
      std::string text = shown_prompt(prompts[i]) + texts[i].text;
      std::ranges::replace(text, '\n', ' ');
      all += (i > 0 ? "\n  " : "  ") + text;
    }
  } catch (const NumericError& e) {
    all = fmt::format("  no sample: {}", e.what());
  }
  progress_.line(fmt::format("step {}: samples\n{}", step, all));
  if (folder_ == nullptr) return;
  folder_->add_sample(step, all);
  events_->text("samples", step, all);
  events_->flush();
}

// What cannot be written is said, and training goes on.
bool Run::save() {
  saved_ = Clock::now();
  tried_ = true;
  try {
    trainer_.save();
    last_step_ = trainer_.position().step;
  } catch (const Error& e) {
    progress_.line(fmt::format(
        "the checkpoint could not be saved, {}: {}",
        last_step_ ? fmt::format("the last good one stays, of step {}", *last_step_) : "and there is none yet",
        e.what()));
    return false;
  }
  try {
    folder_->write_summary(trainer_, "running");
  } catch (const Error& e) {
    progress_.line(e.what());
  }
  return true;
}

void Run::save_best() {
  try {
    trainer_.save_best();
  } catch (const Error& e) {
    progress_.line(fmt::format("the best model so far could not be saved: {}", e.what()));
  }
}

// Says what best/ holds, which may be an older one when the disk was full.
std::string Run::best_line() const {
  const std::optional<Validation>& best = trainer_.position().best;
  if (!best) return {};
  const std::string text = fmt::format("the best held-out loss was {:.4f} after step {}", best->loss, best->step);
  const fs::path folder = folder_->path() / "best";
  const std::optional<RunPosition> saved = position_of(folder);
  if (!saved || saved->step != best->step) return text + "; it could not be saved";
  return fmt::format("{}; that model is in {}", text, folder.string());
}

void Run::finish(const std::string& state) {
  const std::int64_t steps = trainer_.position().step;
  const std::string count = fmt::format("{} {}", steps, steps == 1 ? "step" : "steps");
  require_finite_weights();
  if (folder_ == nullptr) {
    if (state == "interrupted") {
      print_aside("interrupted after {}; nothing was written\n", count);
      return;
    }
    require_good_end();
    const double tokens_a_step = static_cast<double>(config_.train.batch * config_.data.seq);
    const double seconds = static_cast<double>(trainer_.total_steps()) * tokens_a_step / tokens_per_second_;
    print_out("dry run of {} done; nothing was written; a whole run of {} steps takes about {}\n", count,
              trainer_.total_steps(), human_time(seconds));
    return;
  }
  if (!save())
    throw DataError(expected_got(
        "train", fmt::format("the checkpoint of step {} to be saved in '{}'", steps, folder_->path().string()),
        last_step_ ? fmt::format("only that of step {}", *last_step_) : "none",
        fmt::format("make that possible, then {} with --resume auto", last_step_ ? "go on" : "begin again")));
  if (state != "interrupted") require_good_end();
  folder_->write_summary(trainer_, state);
  say(fmt::format("{} after {} and {}; model and state are in {}", state, count,
                  human_time(trainer_.position().seconds), (folder_->path() / "last").string()));
  if (const std::string best = best_line(); !best.empty()) say(best);
  if (state == "interrupted")
    say(fmt::format("continue with: blalm train --run {} --resume", shell_word(folder_->path().string())));
}

// As far as the folder can still be written.
void Run::note_failure(const std::string& what) noexcept {
  if (folder_ == nullptr) return;
  try {
    folder_->write_summary(trainer_, "failed", what);
  } catch (const std::exception&) {
  }
  try {
    folder_->log(what);
  } catch (const std::exception&) {
  }
}

}  // namespace blalm
