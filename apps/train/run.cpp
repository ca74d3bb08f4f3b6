#include "blalm/apps/train/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "blalm/apps/common/signals.h"
#include "blalm/apps/generate/generator.h"
#include "blalm/core/error.h"

namespace blalm {
namespace {

using Clock = std::chrono::steady_clock;

std::string in_words(const Evaluation& e) {
  return fmt::format("held-out loss {:.4f}, perplexity {:.2f}, {:.4f} bits a byte", e.loss, e.perplexity(),
                     e.bits_per_byte);
}

}  // namespace

Run::Run(RunConfig& config, RunFolder* folder, Trainer& trainer, const Tokenizer& tokenizer)
    : config_(config), folder_(folder), trainer_(trainer), tokenizer_(tokenizer) {
  for (const std::string& prompt : config_.train.prompts) prompt_ids(tokenizer_, prompt);  // now, not in an hour
  trainer_.watch_validation([this](std::int64_t done, std::int64_t total) {
    progress_.update(fmt::format("held-out text: {} of {} blocks", done, total), static_cast<double>(done),
                     static_cast<double>(total));
  });
  if (folder_ == nullptr) return;
  metrics_.emplace(folder_->path() / "metrics.csv", trainer_.position().step);
  events_.emplace(folder_->path(), "blalm", trainer_.position().step);
}

void Run::say(const std::string& line) {
  progress_.line(line);
  if (folder_ != nullptr) folder_->log(line);
}

void Run::validate_first() {
  if (trainer_.has_validation() && config_.train.overfit == 0) say("step 0: " + in_words(trainer_.validate()));
}

ExitCode Run::train() {
  try {
    return take_steps();
  } catch (const Error& e) {
    progress_.clear();
    note_failure(e.what());
    throw;
  }
}

ExitCode Run::take_steps() {
  saved_ = Clock::now();
  if (folder_ != nullptr)
    folder_->write_summary(config_, "running", trainer_.position().step, trainer_.position().seconds);
  const std::int64_t enough = config_.train.dry_run > 0 ? config_.train.dry_run : trainer_.total_steps();
  while (!trainer_.finished() && !StopSignals::requested() && trainer_.position().step < enough)
    record(trainer_.step());
  progress_.clear();
  const bool interrupted = !trainer_.finished() && StopSignals::requested();
  finish(interrupted ? "interrupted" : trainer_.stopped_early() ? "stopped early" : "finished");
  return interrupted ? ExitCode::kInterrupted : ExitCode::kDone;
}

void Run::record(const StepReport& r) {
  if (steps_ == 0 || !std::isfinite(smooth_loss_)) smooth_loss_ = r.loss;
  smooth_loss_ = 0.95 * smooth_loss_ + 0.05 * r.loss;
  tokens_per_second_ = steps_ == 0 ? r.tokens_per_second : 0.9 * tokens_per_second_ + 0.1 * r.tokens_per_second;
  ++steps_;
  if (!r.update.applied)
    say(fmt::format("step {}: skipped, the gradient of {} is not finite", r.step, r.update.non_finite));
  write_numbers(r);
  show(r);
  if (r.valid) say(fmt::format("step {}: {}", r.step, in_words(*r.valid)));
  if (r.sample_now && !config_.train.prompts.empty() && config_.train.overfit == 0) draw_samples(r.step);
  if (folder_ != nullptr && Clock::now() - saved_ > std::chrono::duration<double>(60 * config_.train.save_minutes))
    save();
}

void Run::show(const StepReport& r) {
  const double remaining = r.position.seconds / static_cast<double>(r.step) * static_cast<double>(r.total - r.step);
  const std::string total = std::to_string(r.total);
  progress_.update({{fmt::format("step {:>{}}/{}", r.step, total.size(), total)},
                    {fmt::format("epoch {:.2f}", r.epoch), 3},
                    {fmt::format("words {:>5}", human_count(static_cast<double>(r.position.words)))},
                    {fmt::format("loss {:.4f}", smooth_loss_)},
                    {fmt::format("norm {:.2f}", std::abs(r.update.grad_norm)), 1},
                    {fmt::format("lr {:.2e}", r.lr), 2},
                    {fmt::format("{:>5} tok/s", human_count(tokens_per_second_))},
                    {fmt::format("{:>7} < {}", human_time(r.position.seconds), human_time(remaining))}},
                   static_cast<double>(r.step), static_cast<double>(r.total), r.step == 1 || r.step == r.total);
}

void Run::write_numbers(const StepReport& r) {
  if (folder_ == nullptr) return;
  MetricsRow row{r.step, r.position.words,   r.position.tokens,  r.position.seconds, r.loss, {}, {},
                 r.lr,   r.update.grad_norm, r.tokens_per_second};
  if (r.valid) {
    row.valid_loss = r.valid->loss;
    row.bits_per_byte = r.valid->bits_per_byte;
  }
  metrics_->add(row);
  for (const auto& [tag, value] : {std::pair<const char*, double>{"loss/train", r.loss},
                                   {"optim/lr", r.lr},
                                   {"optim/grad_norm", r.update.grad_norm},
                                   {"speed/tokens_per_second", r.tokens_per_second}})
    events_->scalar(tag, r.step, value);
  if (r.valid) {
    events_->scalar("loss/valid", r.step, r.valid->loss);
    events_->scalar("loss/valid_bits_per_byte", r.step, r.valid->bits_per_byte);
  }
  if (r.histogram_now)
    for (const Parameter* p : std::as_const(trainer_.model()).parameters()) {
      events_->histogram("weights/" + p->name, r.step, p->value);
      if (p->has_grad) events_->histogram("gradients/" + p->name, r.step, p->grad);
    }
  events_->flush();
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
      std::string text = prompts[i] + texts[i].text;
      std::ranges::replace(text, '\n', ' ');
      all += (i > 0 ? "\n  " : "  ") + text;
    }
  } catch (const NumericError& e) {
    all = fmt::format("  no sample: {}", e.what());
  }
  progress_.line(all);
  if (folder_ == nullptr) return;
  folder_->add_sample(step, all);
  events_->text("samples", step, all);
}

// A checkpoint that cannot be written is said, and the last good one stays; training goes on.
bool Run::save() {
  saved_ = Clock::now();
  try {
    trainer_.save();
    folder_->write_summary(config_, "running", trainer_.position().step, trainer_.position().seconds);
    return true;
  } catch (const DataError& e) {
    progress_.line(fmt::format("the checkpoint could not be saved, the last good one stays: {}", e.what()));
    return false;
  }
}

void Run::finish(const std::string& state) {
  if (folder_ == nullptr) {
    const double tokens_a_step = static_cast<double>(config_.train.batch * config_.data.seq);
    fmt::print("dry run of {} steps done; nothing was written; a whole run of {} steps takes about {}\n",
               trainer_.position().step, trainer_.total_steps(),
               human_time(static_cast<double>(trainer_.total_steps()) * tokens_a_step / tokens_per_second_));
    return;
  }
  if (!save())
    throw DataError(expected_got("train", fmt::format("room for a checkpoint in '{}'", folder_->path().string()),
                                 "none", "make room, then continue with --resume auto"));
  folder_->write_summary(config_, state, trainer_.position().step, trainer_.position().seconds);
  say(fmt::format("{} after {} steps and {}; model and state are in {}", state, trainer_.position().step,
                  human_time(trainer_.position().seconds), (folder_->path() / "last").string()));
  if (state == "interrupted")
    say(fmt::format("continue with: blalm train --run {} --resume auto", folder_->path().string()));
}

// As far as the folder can still be written.
void Run::note_failure(const std::string& what) noexcept {
  if (folder_ == nullptr) return;
  try {
    folder_->log(what);
    folder_->write_summary(config_, "failed", trainer_.position().step, trainer_.position().seconds);
  } catch (const std::exception&) {
  }
}

}  // namespace blalm
