#include "apps/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>

#include "apps/common/gradients.h"
#include "apps/train/checkpoint_room.h"
#include "apps/train/milestones.h"
#include "data/shards/prepared.h"
#include "data/shards/text_encoder.h"
#include "engine/core/error.h"
#include "engine/core/number.h"
#include "engine/inspect/anomaly.h"
#include "models/model_folder.h"
#include "optim/schedule.h"

namespace blalm {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What a part of prepared data needs at least.
void require_block(const TokenData& data, std::int64_t seq, const char* where, const char* part, const char* remedy) {
  if (data.tokens() < seq)
    throw DataError(expected_got(where, fmt::format("{} text of at least one block of data.seq = {} tokens", part, seq),
                                 fmt::format("{} tokens", data.tokens()), remedy));
}

// The separators of the prepared text, and the token that is in none of it.
TextFormat text_format_of(const DataConfig& data, const Tokenizer& tokenizer) {
  TextFormat format;
  format.declared = true;
  format.pad = tokenizer.token_id("<pad>");
  if (has_bos(data.separator)) format.bos = tokenizer.token_id(data.bos);
  const std::optional<std::int32_t> eos = tokenizer.token_id(data.eos);
  if (has_eos(data.separator) && eos) format.eos = {*eos};
  return format;
}

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

Trainer::Trainer(RunConfig config, const std::filesystem::path& data, const Tokenizer& tokenizer)
    : config_(std::move(config)),
      train_(TokenData::open(data, Part::train, id_of(tokenizer))),
      tape_(config_.train.seed) {
  if (!read_prepared(data).valid.shards.empty()) valid_ = TokenData::open(data, Part::valid, train_.tokenizer());
  if (config_.train.init.empty()) config_.model.vocab_size = tokenizer.vocab_size();
  model_ = std::make_unique<LanguageModel>(config_.model, BuildOptions{.seed = config_.train.seed});
  model_->text_format = text_format_of(config_.data, tokenizer);
  tokenizer_files_ = tokenizer_files(tokenizer, model_->text_format);
  model_->run.precision = precision_of(config_.train.precision);
  model_->run.recompute = config_.train.recompute;
  const std::vector<Parameter*> parameters = model_->parameters();
  optimizer_ = std::make_unique<Optimizer>(parameters, config_.optim);

  require_block(train_, config_.data.seq, "data.train", "training",
                "take more text, a shorter data.seq, or a smaller data.valid_share");
  if (valid_)
    require_block(
        *valid_, config_.data.seq, "data.valid", "held-out",
        "hold out more with data.valid_share or data.valid, take a shorter data.seq, or hold out nothing with "
        "data.valid_share 0");

  // With a number of steps, as many epochs as they take.
  LoaderOptions options{.block = config_.data.seq,
                        .batch = config_.train.micro_batch,
                        .seed = config_.data.seed,
                        .shuffle = config_.data.shuffle,
                        .epochs = config_.train.epochs};
  const std::int64_t per_epoch = Loader(train_, options).blocks_per_epoch();
  if (config_.optim.steps > 0) options.epochs = ceil_divide(config_.optim.steps * config_.train.batch, per_epoch);
  loader_ = std::make_unique<Loader>(train_, options);
  total_ = total_steps(config_.optim.steps, config_.train.epochs);
  position_.loader_identity = loader_->identity();
  if (const std::int64_t most = ceil_divide(per_epoch, config_.train.batch); config_.train.overfit > most)
    throw ConfigError(expected_got("train.overfit", fmt::format("at most {} batches, all of the training text", most),
                                   fmt::format("{}", config_.train.overfit)));
  if (valid_)
    validations_ =
        plan_validations(total_, config_.train.batch, config_.train.micro_batch, valid_->tokens() / config_.data.seq,
                         config_.train.valid_every, config_.train.valid_blocks);
  const std::int64_t kept = config_.train.overfit * (config_.train.batch / config_.train.micro_batch);
  Batch batch;
  while (std::ssize(overfit_) < kept && loader_->next(batch)) overfit_.push_back(batch);
  if (config_.train.patience > 0 && (!valid_ || config_.train.valid_every.value == 0))
    throw ConfigError(expected_got("train.patience", "validations to wait for", "none",
                                   "hold text out with data.valid or data.valid_share, and set train.valid_every"));
  if (config_.train.anomaly) inspect::stop_at_anomaly(tape_);
}

std::int64_t Trainer::total_steps(std::int64_t steps, std::int64_t epochs) const {
  return steps > 0 ? steps : ceil_divide(loader_->blocks_per_epoch() * epochs, config_.train.batch);
}

std::int64_t Trainer::parameters() const {
  std::int64_t count = 0;
  for (const Parameter* p : std::as_const(*model_).parameters()) count += p->value.numel();
  return count;
}

DataId Trainer::data_id() const {
  const auto text = [](const TokenData& data) { return fmt::format("{:016x}", data.checksum()); };
  return {train_.tokenizer().fingerprint.str(), text(train_), valid_ ? text(*valid_) : ""};
}

void Trainer::begin_with(const std::filesystem::path& model) {
  const auto loaded = load_model(model);
  for (Parameter* p : model_->parameters()) p->value.copy_from(loaded->find(p->name)->value);
}

void Trainer::resume(const FoundCheckpoint& checkpoint) {
  if (checkpoint.position.step > total_)
    throw ConfigError(expected_got(
        "resume", fmt::format("at least the {} steps that the run has made", checkpoint.position.step),
        fmt::format("{} by optim.steps {} and train.epochs {}", total_, config_.optim.steps, config_.train.epochs)));
  if (checkpoint.position.loader_identity != loader_->identity())
    throw DataError(expected_got("data.train", "the text that the run was started with", "another",
                                 "name the place where it is now, or begin a new run"));
  load_checkpoint(checkpoint, *model_, *optimizer_);
  loader_->seek(checkpoint.position.loader);
  position_ = checkpoint.position;
  stopped_ = out_of_patience();
}

bool Trainer::out_of_patience() const {
  return config_.train.patience > 0 && position_.validations_without_gain >= config_.train.patience;
}

void Trainer::save_into(const std::filesystem::path& run) {
  remove_unfinished(run);
  require_room(run, 2 * checkpoint_bytes() + (valid_ ? best_bytes() : 0));
  run_ = run;
}

std::int64_t Trainer::checkpoint_bytes() const { return best_bytes() + optimizer_bytes(*optimizer_); }
std::int64_t Trainer::best_bytes() const {
  std::int64_t bytes = model_bytes(*model_);
  for (const auto& [name, content] : tokenizer_files_) bytes += static_cast<std::int64_t>(content.size());
  return bytes;
}

// Weights may be finite and yet so large that no loss is: such a checkpoint is none to go on from.
void Trainer::require_finite() const {
  blalm::require_finite(*model_);
  if (!probe_.ids.defined()) return;
  const Tensor losses = model_->token_losses(probe_.ids, probe_.targets);
  for (std::int64_t i = 0; i < losses.numel(); ++i)
    if (!std::isfinite(losses.at(i)))
      throw NumericError(expected_got("checkpoint", "weights that give a finite loss", fmt::format("{}", without_nan_sign(losses.at(i)))));
}

void Trainer::save() {
  count_time();
  require_finite();
  save_checkpoint(run_, *model_, *optimizer_, position_, tokenizer_files_, config_.train.keep_previous);
}

void Trainer::save_best() {
  count_time();
  blalm::save_best(run_, *model_, position_, tokenizer_files_);
}

// Gradients of one step. Returns the loss.
double Trainer::micro_batches(LineCounts& seen) {
  const std::int64_t count = config_.train.batch / config_.train.micro_batch;
  std::vector<Batch> batches;
  for (std::int64_t i = 0; i < count; ++i) {
    Batch b;
    if (!overfit_.empty())
      b = overfit_[static_cast<std::size_t>(position_.step * count + i) % overfit_.size()];
    else if (!loader_->next(b))
      break;
    seen.words += b.counts.words;
    seen.tokens += b.ids.numel();
    batches.push_back(b);
  }
  if (!batches.empty()) {
    probe_ = batches.front();
    probe_.ids = probe_.ids.rows(0, 1);
    probe_.targets = probe_.targets.rows(0, 1);
  }
  std::int64_t done = 0;
  return add_gradients(*model_, tape_, batches, nullptr, [&](const Tape&) {
    if (watch_step_) watch_step_(++done, std::ssize(batches));
  });
}

std::optional<StepReport> Trainer::step() {
  const auto start = std::chrono::steady_clock::now();
  StepNumbers numbers;
  LineCounts seen;
  const std::int64_t words_before = position_.words;
  optimizer_->zero_grad();
  numbers.loss = micro_batches(seen);
  numbers.lr = lr_at(position_.step + 1, total_, config_.optim);
  const StepResult update = optimizer_->step(numbers.lr);
  numbers.grad_norm = update.grad_norm;
  numbers.non_finite = update.non_finite;
  const double seconds = seconds_since(start);
  numbers.tokens_per_second = static_cast<double>(seen.tokens) / seconds;
  remaining_.add_step(seconds, config_.train.batch);

  ++position_.step;
  if (update.applied)
    position_.skipped = {};
  else if (position_.skipped.count++ == 0)
    position_.skipped = {1, position_.step, update.non_finite};
  if (overfit_.empty()) {
    position_.loader = loader_->position();
    position_.words = loader_->words_seen();
    position_.tokens = loader_->tokens_seen();
  } else {
    position_.words += seen.words;
    position_.tokens += seen.tokens;
  }
  position_.add_loss(numbers.loss);
  position_.unfinished = numbers;
  keep_milestones(words_before);
  return finish_step();
}

void Trainer::reopen_step() {
  if (!unfinished_) return;
  position_ = *unfinished_;
  stopped_ = out_of_patience();
}

std::optional<StepReport> Trainer::finish_step() {
  unfinished_ = position_;
  StepReport report;
  report.step = position_.step;
  report.total = total_;
  report.numbers = *position_.unfinished;
  report.epoch = static_cast<double>(position_.loader.epoch) +
                 static_cast<double>(position_.loader.block) / static_cast<double>(loader_->blocks_per_epoch());
  if (valid_ && due(config_.train.valid_every)) {
    const bool last = position_.step >= total_;
    const auto measured = validate(last ? validations_.last : validations_.sample);
    if (!measured) return {};
    report.valid = measured->front();
    if (measured->size() > 1) report.valid_final = measured->back();
    report.is_best =
        std::isfinite(report.valid->loss) && (!position_.best || report.valid->loss < position_.best->loss);
    position_.latest = {position_.step, report.valid->loss};
    if (report.is_best) position_.best = position_.latest;
    position_.validations_without_gain = report.is_best ? 0 : position_.validations_without_gain + 1;
    stopped_ = out_of_patience();
  }
  position_.unfinished.reset();
  report.sample_now = due(config_.train.sample_every);
  report.histogram_now = config_.train.histogram_every.value > 0 && due(config_.train.histogram_every);
  count_time();
  report.position = position_;
  report.remaining = remaining_.seconds(total_ - position_.step, config_.train.batch, validation_blocks_left());
  return report;
}

void Trainer::count_time() {
  position_.seconds += seconds_since(counted_);
  counted_ = std::chrono::steady_clock::now();
}

void Trainer::keep_milestones(std::int64_t words_before) {
  if (run_.empty() || !config_.train.milestones || !overfit_.empty()) return;
  const std::vector<std::int64_t> marks = milestones_between(words_before, position_.words);
  for (const std::int64_t mark : marks) {
    try {
      save_milestone(run_, milestone_name(mark), *model_, tokenizer_files_);
    } catch (const Error& e) {
      lost_.push_back(fmt::format("{}: {}", milestone_name(mark), e.what()));
    }
  }
}

std::optional<Evaluation> Trainer::validate_first() {
  const auto measured = validate(validations_.sample);
  if (!measured) return {};
  const Evaluation& valid = measured->front();
  position_.latest = {0, valid.loss};
  if (std::isfinite(valid.loss)) position_.best = position_.latest;
  return valid;
}

std::optional<std::vector<Evaluation>> Trainer::validate(std::int64_t blocks) {
  tape_.clear();
  std::vector<std::int64_t> marks = {validations_.sample};
  if (blocks > validations_.sample) marks.push_back(blocks);
  const auto start = std::chrono::steady_clock::now();
  auto measured = evaluate(*model_, *valid_, config_.data.seq, config_.train.micro_batch, marks, watch_);
  if (measured) remaining_.add_validation(seconds_since(start), blocks);
  return measured;
}

std::int64_t Trainer::validation_blocks_left() const {
  if (!valid_ || position_.step >= total_) return 0;
  const std::int64_t due = due_after(position_.step, total_, config_.train.valid_every);
  return (due - 1) * validations_.sample + validations_.last;
}

}  // namespace blalm
