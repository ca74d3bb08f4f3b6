// blalm train [CONFIG.toml]: from text to a trained model, in one run folder.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "apps/common/command.h"
#include "apps/common/folders.h"
#include "apps/common/left_out.h"
#include "apps/common/options.h"
#include "apps/common/output.h"
#include "apps/common/prepared_data.h"
#include "apps/common/signals.h"
#include "apps/train/automatic.h"
#include "apps/train/initial_model.h"
#include "apps/train/memory.h"
#include "apps/train/prepared_settings.h"
#include "apps/train/resume.h"
#include "apps/train/run.h"
#include "data/text/samples.h"
#include "engine/core/making.h"
#include "engine/core/parallel.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

// Ctrl-C before training has begun: nothing to save yet.
struct Interrupted {};
void stop_if_asked() {
  if (StopSignals::requested()) throw Interrupted();
}

struct Arguments {
  RunConfig config;
  std::vector<Setting> settings;  // that made it
  fs::path run;
  bool resume = false;
  std::optional<RecordedRun> recorded;  // of the run to resume, when there is one
  KernelPolicy kernels;
};

// The settings of: the run to resume; then a TOML file, or the shipped default when nothing else is said; then flags.
std::vector<Setting> gather(const std::vector<std::string>& positional, const Arguments& a,
                            const std::vector<Setting>& flags) {
  std::vector<Setting> settings;
  const auto add = [&](const std::vector<Setting>& more) { settings.insert(settings.end(), more.begin(), more.end()); };
  const auto says = [&](const char* path) { return std::ranges::find(flags, path, &Setting::path) != flags.end(); };
  if (positional.size() > 1)
    throw ConfigError(expected_got("blalm train", "one CONFIG.toml", positional[1], "flags are --section.key VALUE"));
  if (a.recorded) add(read_settings(a.run / "config.toml"));
  if (positional.size() == 1) add(read_settings(positional[0]));
  if (settings.empty() && !says("data.train")) {
    // A name that was misspelt begins no run.
    if (a.resume)
      throw ConfigError(expected_got("resume", fmt::format("a run in '{}'", a.run.string()), "none",
                                     "see --run; with CONFIG.toml or --data.train a run begins where there is none"));
    add(read_settings(samples_folder() / "train.toml"));
    if (says("data.tokenizer") || says("train.init")) take(settings, "data.vocab_size", "");  // the tokenizer's own
    if (says("train.init"))
      for (const char* path : {"preset", "size"}) take(settings, path, "");  // the model's own
  }
  add(flags);
  return settings;
}

// Sets the configuration, as it is asked for: nothing is resolved.
void configure(Arguments& a) {
  a.config.configure(a.settings);
  if (a.recorded && a.recorded->has_older_seeds) a.config.take_older_seeds();
  take_prepared_settings(a.config, a.settings);
  if (a.recorded)
    keep_automatic_values(*a.recorded, a.config);
  else if (!a.config.train.init.empty())
    take_initial_model(a.config, a.settings);
}

void describe(const ReadyData& data, RunConfig& config, Trainer& trainer, Run& run) {
  const auto count = [](std::int64_t n) { return human_count(static_cast<double>(n)); };
  const PreparedData prepared = data.report ? data.report->data : read_prepared(data.folder);
  const std::int64_t vocabulary = data.tokenizer.vocab_size();
  const bool smaller = data.report && config.data.tokenizer.empty() && vocabulary < config.data.vocab_size;
  run.say(fmt::format("data       {} words, {} tokens; {} words held out; vocabulary {}{}",
                      count(prepared.train.words()), count(prepared.train.tokens()), count(prepared.valid.words()),
                      vocabulary,
                      smaller ? fmt::format(" (the text has no more than that of {})", config.data.vocab_size) : ""));
  for (const std::string& sentence : what_was_left_out(data)) run.say("data       " + sentence);
  run.say(fmt::format("model      {}, {} parameters, {} on {} thread{}", config.model_name(),
                      count(trainer.parameters()), name_of(config.train.precision), num_threads(),
                      num_threads() == 1 ? "" : "s"));
}

// "last/ and last.previous/ of 63.1 MB, best/ of 21.0 MB"
std::string sizes_of_checkpoints(const TrainConfig& config, const Trainer& trainer) {
  const auto megabytes = [](std::int64_t bytes) { return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6); };
  std::string text = config.keep_previous
                         ? fmt::format("last/ and last.previous/ of {} each", megabytes(trainer.checkpoint_bytes()))
                         : fmt::format("last/ of {}", megabytes(trainer.checkpoint_bytes()));
  if (trainer.has_validation()) text += ", best/ of " + megabytes(trainer.best_bytes());
  if (config.milestones) text += ", chck_1M/ ... of " + megabytes(trainer.best_bytes());
  return text;
}

// "720, 4 epochs of 180; held-out text: 16 of 96 blocks in each of 21 validations, all at the end, about 4% of the run"
std::string in_words(const Trainer& trainer) {
  std::string text = std::to_string(trainer.total_steps());
  if (trainer.has_validation()) {
    const ValidationPlan& v = trainer.validations();
    const auto of_all = [&](std::int64_t blocks) {
      return blocks == v.blocks ? fmt::format("all {} blocks", blocks)
                                : fmt::format("{} of {} blocks", blocks, v.blocks);
    };
    text += fmt::format("; held-out text: {} in each of {} validations{}, about {:.2g}% of the run", of_all(v.sample),
                        v.validations, v.last == v.sample ? "" : fmt::format(", {} at the end", of_all(v.last)),
                        100 * v.cost(trainer.total_steps() * trainer.config().train.batch));
  }
  return text;
}

// With a given tokenizer the size of the vocabulary is its own.
void require_vocabulary_of(const Tokenizer& tokenizer, const RunConfig& config, const std::vector<Setting>& given) {
  if (config.data.tokenizer.empty()) return;
  const bool asked = std::ranges::any_of(given, [](const Setting& s) { return s.path == "data.vocab_size"; });
  if (asked && config.data.vocab_size != tokenizer.vocab_size())
    throw ConfigError(expected_got(
        "data.vocab_size", fmt::format("{}, as in the tokenizer '{}'", tokenizer.vocab_size(), config.data.tokenizer),
        std::to_string(config.data.vocab_size), "leave it out"));
}

// Where the text is prepared: in the run folder, or for a dry run in one that goes again.
class DataPlace {
 public:
  explicit DataPlace(const std::optional<RunFolder>& run) {
    if (!run) dry_.emplace(OwnedFolder::Temporary{"blalm-dry-run"}, "dry-run");
    folder_ = (run ? run->path() : dry_->path()) / "data";
  }
  const fs::path& folder() const { return folder_; }

 private:
  std::optional<OwnedFolder> dry_;
  fs::path folder_;
};

ExitCode train(Arguments& a) {
  require_memory(a.config);
  const StopSignals signals("stopping; Ctrl-C again stops at once");
  const KernelChoice choice(a.kernels);
  std::optional<RunFolder> folder;
  if (a.config.train.dry_run == 0) folder.emplace(a.run, a.resume);
  const bool continued = folder && a.recorded;
  const RecordedRun recorded = continued ? *a.recorded : RecordedRun();
  std::vector<ChangedSetting> changes;
  if (continued) changes = changes_on_resume(recorded, a.config, a.settings, folder->path());

  Progress progress;
  const DataPlace place(folder);
  const ReadyData data = making("the prepared text", [&] {
    return continued ? data_on_resume(a.config.data, changes, folder->path(), progress, stop_if_asked)
                     : ready_data(a.config.data, place.folder(), progress, stop_if_asked);
  });
  require_vocabulary_of(data.tokenizer, a.config, a.settings);

  std::optional<FoundCheckpoint> found;
  if (a.resume && folder) found = find_checkpoint(folder->path());
  const bool is_initial = !found && !a.config.train.init.empty();
  if (is_initial) require_tokenizer_of_model(a.config, data.tokenizer);

  const std::string chosen = choose_for_text(a.config, read_prepared(data.folder).train.tokens());
  Trainer trainer(a.config, data.folder, data.tokenizer);
  require_same_data(recorded, trainer);
  if (found) trainer.resume(*found);
  if (is_initial) trainer.begin_with(find_model_folder(a.config.train.init));
  if (folder) trainer.save_into(folder->path());
  Run run(a.config, folder ? &*folder : nullptr, trainer, data.tokenizer,
          found        ? std::optional(found->position.step)
          : is_initial ? std::optional<std::int64_t>(0)
                       : std::nullopt);
  // From here on there is a run, which stays. What could be wrong before left nothing.
  if (folder && (!continued || !changes.empty())) folder->write_config(trainer.config());
  if (folder) folder->keep();
  if (folder && data.owned) {
    data.owned->keep();
    data.owned->share();
  }
  run.open_files();
  if (folder && is_initial) trainer.save();  // that folder is not needed any more
  describe(data, a.config, trainer, run);
  if (is_initial) run.say(fmt::format("weights    from '{}'", a.config.train.init));
  if (!chosen.empty()) run.say("settings   " + chosen);
  run.say("steps      " + in_words(trainer));
  if (folder)
    run.say(fmt::format("run        {}{}", folder->path().string(),
                        a.resume && !continued ? ", a new one: there was none to resume" : ""));
  if (folder) run.say("checkpoint " + sizes_of_checkpoints(a.config.train, trainer));
  for (const std::string& line : describe_changes(recorded, changes, trainer)) run.say(line);
  if (continued && !found) run.say("resumed    at step 0: the run has no checkpoint yet");
  if (found) {
    for (const std::string& refused : found->refused) run.say("refused    " + refused);
    run.say(fmt::format("resumed    at step {} of {}, from {}", found->position.step, trainer.total_steps(),
                        found->folder.string()));
  }
  if (const std::string short_run = too_short(trainer.total_steps()); !short_run.empty() && a.config.train.overfit == 0)
    run.say("short      " + short_run);
  if (const std::string warmup = too_long_warmup(a.config.optim, trainer.total_steps()); !warmup.empty())
    run.say("warm-up    " + warmup);
  StopSignals::announce(folder ? "stopping after this step, then saving; Ctrl-C again stops at once, without saving"
                               : "stopping after this step; Ctrl-C again stops at once");
  const ExitCode code = run.train();
  if (code == ExitCode::kDone) expect_forced_kernels_ran(a.kernels);
  return code;
}

// The settings of `blalm train` alone, as they are in the file that comes along: "--preset mlstm --size nano …".
std::string usual_settings() {
  std::string text;
  try {
    for (const Setting& s : read_settings(samples_folder() / "train.toml"))
      text += fmt::format(" --{} {}", s.path, s.value);
  } catch (const Error&) {
    return " (which are not there)";  // --help must come all the same
  }
  return text;
}

// What the settings are in a resume, as they say themselves.
std::string settings_in_a_resume(const Fields& fields) {
  std::string free, lengthen;
  for (const Field& f : fields.list()) {
    if (f.on_resume == OnResume::free) free += " " + f.path();
    if (f.on_resume == OnResume::lengthens) lengthen += " " + f.path();
  }
  return fmt::format(
      " With --resume these may be others than before:{}; with another schedule{}; and data.train, where the same data "
      "is in another place. --init begins a run in which all may be others but the model's.",
      free, lengthen);
}

ExitCode run_train(int argc, char** argv) {
  Arguments a;
  HelpPage page{
      "train", "[CONFIG.toml]",
      "Trains a language model on text. Ctrl-C stops it and saves, --resume auto goes on with the same bits where "
      "--backend, --kernel and --composed are given again. The line of progress shows the mean loss of about the last "
      "20 steps; metrics.csv in the run folder has that of each step, and TensorBoard reads the folder. Without "
      "CONFIG.toml and --data.train: the nano "
      "model on the text that comes with blalm, in about one minute on two cores with AMX, two with AVX-512, more "
      "without ('--dry-run 12' tells), with these settings in place of the defaults below:" +
          usual_settings() + "." + settings_in_a_resume(a.config.fields()),
      "train --preset mlstm --size nano --data.train corpus --optim.optimizer muon --run runs/first"};
  a.config.configure({});
  add_settings(page, "Settings, as flags or in CONFIG.toml under [section], and their defaults:", a.config.fields());
  std::vector<std::string> arguments(argv + 1, argv + argc);
  give_value(arguments, "resume", "auto");
  std::vector<Setting> flags = take_flags(arguments, a.config.fields());
  cxxopts::Options options = make_options(page);
  const auto text = [] { return cxxopts::value<std::string>(); };
  options.add_options()("run", "folder of the run (default: runs/ and the time)", text(), "DIR")(
      "resume", "continue the run from its last good checkpoint; with CONFIG.toml or --data.train begin it if need be",
      text(), "[auto]")("print-config", "show the settings as TOML, those left to the program as they are, and stop")(
      "init", "begin with the weights of this model or run, with a schedule and an optimiser of its own", text(),
      "DIR")("overfit", "train on this many batches again and again", text(), "N")(
      "dry-run", "stop after this many steps and leave nothing", text(), "N")(
      "anomaly", "stop at the first number that is not finite");
  add_kernel_options(options);
  const ParsedOptions parsed = parse_options(options, page, std::move(arguments));
  if (parsed.help) return ExitCode::kDone;
  for (const auto& [name, path] :
       {std::pair("init", "train.init"), {"overfit", "train.overfit"}, {"dry-run", "train.dry_run"}})
    if (parsed.has(name)) flags.push_back({path, parsed.text(name), std::string("--") + name});
  if (parsed.values.count("anomaly") > 0) flags.push_back({"train.anomaly", "true", "--anomaly"});
  a.kernels = kernel_policy_from(parsed);
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
  if (a.resume && is_run(a.run)) a.recorded = read_record(a.run);
  a.settings = gather(parsed.positional, a, flags);
  configure(a);
  const std::string asked = a.config.to_toml();
  a.config.resolve();
  if (a.recorded && a.config.train.dry_run > 0)
    throw ConfigError(expected_got("dry-run", "a run that begins", "one to resume",
                                   "leave out --resume, and take its settings with its config.toml"));
  if (parsed.values.count("print-config") > 0) {
    write_out(asked);
    return ExitCode::kDone;
  }
  try {
    return train(a);
  } catch (const Interrupted&) {
    print_aside("interrupted before training began; there is nothing to save\n");
    return ExitCode::kInterrupted;
  }
}

}  // namespace

constinit const Command train_command{"train", "train a model on text, or resume a run", run_train};

}  // namespace blalm
