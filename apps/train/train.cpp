// blalm train [CONFIG.toml]: from text to a trained model, in one run folder.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "blalm/apps/common/command.h"
#include "blalm/apps/common/options.h"
#include "blalm/apps/common/prepared_data.h"
#include "blalm/apps/common/signals.h"
#include "blalm/apps/generate/generator.h"
#include "blalm/apps/train/event_file.h"
#include "blalm/apps/train/run_folder.h"
#include "blalm/apps/train/trainer.h"
#include "blalm/core/cpu.h"
#include "blalm/core/parallel.h"
#include "blalm/data/samples.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

// Ctrl-C before training has begun: nothing to save yet.
struct Interrupted {};
void stop_if_asked() {
  if (StopSignals::requested()) throw Interrupted();
}

std::string step_line(const StepReport& r, double smooth_loss, double tokens_per_second, double remaining) {
  return fmt::format("step {}/{}  epoch {:.2f}  words {}  loss {:.4f}  norm {:.2f}  lr {:.2e}  {} tok/s  {} < {}",
                     r.step, r.total, r.epoch, human_count(static_cast<double>(r.position.words)), smooth_loss,
                     r.update.grad_norm, r.lr, human_count(tokens_per_second), human_time(r.position.seconds),
                     human_time(remaining));
}

// One run, from its first step or from a checkpoint to its end.
class Run {
 public:
  Run(RunConfig& config, RunFolder* folder, Trainer& trainer, const Tokenizer& tokenizer)
      : config_(config), folder_(folder), trainer_(trainer), tokenizer_(tokenizer) {
    for (const std::string& prompt : config_.train.prompts) prompt_ids(tokenizer_, prompt);  // now, not in an hour
    if (folder_ == nullptr) return;
    metrics_.emplace(folder_->path() / "metrics.csv", trainer_.position().step);
    events_.emplace(folder_->path(), "blalm");
  }

  ExitCode train() {
    saved_ = std::chrono::steady_clock::now();
    while (!trainer_.finished() && !StopSignals::requested()) {
      if (config_.train.dry_run > 0 && trainer_.position().step >= config_.train.dry_run) break;
      record(trainer_.step());
    }
    progress_.clear();
    const bool interrupted = !trainer_.finished() && StopSignals::requested();
    finish(interrupted ? "interrupted" : trainer_.stopped_early() ? "stopped early" : "finished");
    return interrupted ? ExitCode::kInterrupted : ExitCode::kDone;
  }

  void say(const std::string& line) {
    progress_.line(line);
    if (folder_ != nullptr) folder_->log(line);
  }

 private:
  void record(const StepReport& r) {
    smooth_loss_ = steps_ == 0 ? r.loss : 0.95 * smooth_loss_ + 0.05 * r.loss;
    tokens_per_second_ = steps_ == 0 ? r.tokens_per_second : 0.9 * tokens_per_second_ + 0.1 * r.tokens_per_second;
    ++steps_;
    if (!r.update.applied)
      say(fmt::format("step {}: skipped, the gradient of {} is not finite", r.step, r.update.non_finite));
    write_numbers(r);
    const double remaining = r.position.seconds / static_cast<double>(r.step) * static_cast<double>(r.total - r.step);
    progress_.update(step_line(r, smooth_loss_, tokens_per_second_, remaining), static_cast<double>(r.step),
                     static_cast<double>(r.total), r.step == r.total);
    if (r.valid)
      say(fmt::format("step {}: held-out loss {:.4f}, perplexity {:.2f}, {:.4f} bits a byte", r.step, r.valid->loss,
                      r.valid->perplexity(), r.valid->bits_per_byte));
    if (r.sample_now && !config_.train.prompts.empty() && config_.train.overfit == 0) samples(r.step);
    if (folder_ != nullptr &&
        std::chrono::steady_clock::now() - saved_ > std::chrono::duration<double>(60 * config_.train.save_minutes))
      save();
  }

  void write_numbers(const StepReport& r) {
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
  void samples(std::int64_t step) {
    const std::vector<std::string>& prompts = config_.train.prompts;
    std::string all;
    try {
      const std::vector<GeneratedText> texts =
          generate(trainer_.model(), tokenizer_, prompts,
                   {.sampler = {}, .max_tokens = config_.train.sample_tokens, .seed = config_.train.seed, .stop = {}});
      for (std::size_t i = 0; i < texts.size(); ++i) {
        std::string text = prompts[i] + texts[i].text;
        std::ranges::replace(text, '\n', ' ');
        all += "  " + text + "\n";
      }
    } catch (const NumericError& e) {
      all = fmt::format("  no sample: {}\n", e.what());
    }
    progress_.clear();
    fmt::print("{}", all);
    if (folder_ == nullptr) return;
    folder_->add_sample(step, all);
    events_->text("samples", step, all);
  }

  // A checkpoint that cannot be written is said, and the last good one stays; training goes on.
  bool save() {
    saved_ = std::chrono::steady_clock::now();
    try {
      trainer_.save();
      folder_->write_summary(config_, "running", trainer_.position().step, trainer_.position().seconds);
      return true;
    } catch (const DataError& e) {
      progress_.line(fmt::format("the checkpoint could not be saved, the last good one stays: {}", e.what()));
      return false;
    }
  }

  void finish(const std::string& state) {
    if (folder_ == nullptr) {
      fmt::print("dry run of {} steps done; nothing was written\n", trainer_.position().step);
      return;
    }
    if (!save())
      throw DataError(
          expected_got("train", fmt::format("room for a checkpoint in '{}'", folder_->path().string()), "none"));
    folder_->write_summary(config_, state, trainer_.position().step, trainer_.position().seconds);
    say(fmt::format("{} after {} steps and {}; model and state are in {}", state, trainer_.position().step,
                    human_time(trainer_.position().seconds), (folder_->path() / "last").string()));
    if (state == "interrupted")
      say(fmt::format("continue with: blalm train --run {} --resume auto", folder_->path().string()));
  }

  RunConfig& config_;
  RunFolder* folder_;
  Trainer& trainer_;
  const Tokenizer& tokenizer_;
  Progress progress_;
  std::optional<Metrics> metrics_;
  std::optional<EventFile> events_;
  std::chrono::steady_clock::time_point saved_;
  double smooth_loss_ = 0, tokens_per_second_ = 0;
  std::int64_t steps_ = 0;
};

struct Arguments {
  RunConfig config;
  fs::path run;
  bool resume = false;
};

// The settings of: the shipped default when nothing else is said, or a TOML file, or the run to resume; then flags.
std::vector<Setting> gather(const std::vector<std::string>& positional, const fs::path& run, bool resume,
                            std::vector<Setting> flags) {
  std::vector<Setting> settings;
  if (positional.size() > 1)
    throw ConfigError(expected_got("blalm train", "one CONFIG.toml", positional[1], "flags are --section.key VALUE"));
  if (positional.size() == 1)
    settings = read_settings(positional[0]);
  else if (resume && fs::exists(run / "config.toml"))
    settings = read_settings(run / "config.toml");
  const auto names_data = [](const Setting& s) { return s.path == "data.train"; };
  if (settings.empty() && std::ranges::none_of(flags, names_data))
    settings = read_settings(samples_folder() / "train.toml");
  settings.insert(settings.end(), flags.begin(), flags.end());
  return settings;
}

void describe_data(const ReadyData& data, Run& run) {
  if (!data.report) return;
  const PreparedPart &train = data.report->data.train, &valid = data.report->data.valid;
  run.say(fmt::format("data       {} words, {} tokens to train on; {} words held out; vocabulary {}",
                      human_count(static_cast<double>(train.words())), human_count(static_cast<double>(train.tokens())),
                      human_count(static_cast<double>(valid.words())), data.tokenizer.vocab_size()));
}

ExitCode train(Arguments& a) {
  const StopSignals signals;
  a.config.resolve();
  std::optional<RunFolder> folder;
  if (a.config.train.dry_run == 0) folder.emplace(a.run, a.resume);
  const bool continued = folder && folder->has_config();
  if (continued) folder->require_same_config(a.config);

  Progress progress;
  const fs::path data_folder =
      folder ? folder->path() / "data" : fs::temp_directory_path() / fmt::format("blalm-dry-run-{}", getpid());
  DataConfig data_config = a.config.data;
  if (continued && is_prepared(data_folder)) {
    data_config.train = {data_folder.string()};
    data_config.tokenizer.clear();
  }
  const ReadyData data = ready_data(data_config, data_folder, progress, stop_if_asked);
  if (folder && !continued) folder->write_config(a.config);

  Trainer trainer(a.config, data.folder, data.tokenizer);
  std::optional<FoundCheckpoint> found;
  if (a.resume && folder) found = find_checkpoint(folder->path());
  if (found) trainer.resume(*found);
  if (folder) trainer.save_into(folder->path());

  Run run(a.config, folder ? &*folder : nullptr, trainer, data.tokenizer);
  describe_data(data, run);
  std::int64_t parameters = 0;
  for (const Parameter* p : std::as_const(trainer.model()).parameters()) parameters += p->value.numel();
  run.say(fmt::format("model      {} {}, {} parameters, {} on {} threads", a.config.preset, a.config.size,
                      human_count(static_cast<double>(parameters)),
                      a.config.train.precision == PrecisionChoice::bf16 ? "bf16" : "f32", num_threads()));
  if (folder) run.say(fmt::format("run        {}", folder->path().string()));
  if (found) {
    for (const std::string& refused : found->refused) run.say("refused    " + refused);
    run.say(fmt::format("resumed    at step {} of {}, from {}", found->position.step, trainer.total_steps(),
                        found->folder.string()));
  } else if (trainer.has_validation() && a.config.train.overfit == 0) {
    const Evaluation e = trainer.validate();
    run.say(fmt::format("step 0: held-out loss {:.4f}, perplexity {:.2f}, {:.4f} bits a byte", e.loss, e.perplexity(),
                        e.bits_per_byte));
  }
  const ExitCode code = run.train();
  if (!folder) fs::remove_all(data_folder);
  return code;
}

ExitCode run(int argc, char** argv) {
  const HelpPage page{
      "train", "[CONFIG.toml]",
      "Trains a language model on text. Without arguments: the nano model on the text that comes with blalm, about two "
      "minutes.",
      "train --preset mlstm --size nano --data.train 'corpus/*.txt' --optim.optimizer muon --run runs/first"};
  Arguments a;
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::vector<Setting> flags = take_flags(arguments, a.config.fields());
  cxxopts::Options options = make_options(page);
  options.add_options()("run", "folder of the run (default: runs/ and the time)", cxxopts::value<std::string>())(
      "resume", "auto: continue the run from its last good checkpoint, or begin it", cxxopts::value<std::string>())(
      "print-config", "show the resolved settings as TOML and stop")(
      "overfit", "train on this many batches again and again", cxxopts::value<std::string>())(
      "dry-run", "stop after this many steps and leave nothing", cxxopts::value<std::string>())(
      "anomaly", "stop at the first number that is not finite");
  std::vector<char*> pointers = {argv[0]};
  for (std::string& s : arguments) pointers.push_back(s.data());
  const ParsedOptions parsed = parse_options(options, page, static_cast<int>(pointers.size()), pointers.data());
  if (parsed.help) {
    fmt::print("\nSettings, as flags or in CONFIG.toml under [section]:\n{}", fields_help(a.config.fields()));
    return ExitCode::kDone;
  }
  for (const std::string name : {"overfit", "dry-run"})
    if (parsed.values.count(name) > 0)
      flags.push_back(
          {name == "overfit" ? "train.overfit" : "train.dry_run", parsed.values[name].as<std::string>(), "--" + name});
  if (parsed.values.count("anomaly") > 0) flags.push_back({"train.anomaly", "true", "--anomaly"});
  if (parsed.values.count("resume") > 0) {
    if (parsed.values["resume"].as<std::string>() != "auto")
      throw ConfigError(expected_got("resume", "auto", parsed.values["resume"].as<std::string>()));
    if (parsed.values.count("run") == 0)
      throw ConfigError(expected_got("resume", "--run DIR, the run to continue", "none"));
    a.resume = true;
  }
  a.run = parsed.values.count("run") > 0
              ? fs::path(parsed.values["run"].as<std::string>())
              : fs::path("runs") / fmt::format("{:%Y-%m-%d-%H%M%S}", fmt::localtime(std::time(nullptr)));
  a.config.configure(gather(parsed.positional, a.run, a.resume, flags));
  if (parsed.values.count("print-config") > 0) {
    a.config.resolve();
    fmt::print("{}", to_toml(a.config.fields()));
    return ExitCode::kDone;
  }
  try {
    return train(a);
  } catch (const Interrupted&) {
    fmt::print("interrupted before training began; nothing to save\n");
    return ExitCode::kInterrupted;
  }
}

}  // namespace

constinit const Command train_command{"train", "train a model on text, or resume a run", run};

}  // namespace blalm
