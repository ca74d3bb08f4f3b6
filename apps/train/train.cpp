// blalm train [CONFIG.toml]: from text to a trained model, in one run folder.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "blalm/apps/common/command.h"
#include "blalm/apps/common/left_out.h"
#include "blalm/apps/common/options.h"
#include "blalm/apps/common/output.h"
#include "blalm/apps/common/prepared_data.h"
#include "blalm/apps/common/signals.h"
#include "blalm/apps/train/automatic.h"
#include "blalm/apps/train/prepared_settings.h"
#include "blalm/apps/train/run.h"
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

struct Arguments {
  RunConfig config;
  std::vector<Setting> settings;  // that made it
  fs::path run;
  bool resume = false;
  KernelPolicy kernels;
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
  const auto says = [&](const char* path) {
    return std::ranges::any_of(flags, [&](const Setting& s) { return s.path == path; });
  };
  if (settings.empty() && !says("data.train")) {
    settings = read_settings(samples_folder() / "train.toml");
    if (says("data.tokenizer")) take(settings, "data.vocab_size", "");  // the tokenizer has its own size
  }
  settings.insert(settings.end(), flags.begin(), flags.end());
  return settings;
}

void describe(const ReadyData& data, const RunConfig& config, Trainer& trainer, Run& run) {
  const auto count = [](std::int64_t n) { return human_count(static_cast<double>(n)); };
  const PreparedData prepared = data.report ? data.report->data : read_prepared(data.folder);
  const std::int64_t vocabulary = data.tokenizer.vocab_size();
  const bool smaller = data.report && config.data.tokenizer.empty() && vocabulary < config.data.vocab_size;
  run.say(fmt::format("data       {} words, {} tokens; {} words held out; vocabulary {}{}",
                      count(prepared.train.words()), count(prepared.train.tokens()), count(prepared.valid.words()),
                      vocabulary,
                      smaller ? fmt::format(" (the text has no more than that of {})", config.data.vocab_size) : ""));
  for (const std::string& sentence : what_was_left_out(data)) run.say("data       " + sentence);
  std::int64_t parameters = 0;
  for (const Parameter* p : std::as_const(trainer.model()).parameters()) parameters += p->value.numel();
  run.say(fmt::format("model      {} {}, {} parameters, {} on {} thread{}", config.preset, config.size,
                      count(parameters), name_of(config.train.precision), num_threads(),
                      num_threads() == 1 ? "" : "s"));
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

ExitCode train(Arguments& a) {
  const StopSignals signals("stopping; Ctrl-C again stops at once");
  const KernelChoice choice(a.kernels);
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
  require_vocabulary_of(data.tokenizer, a.config, a.settings);

  const std::int64_t tokens = read_prepared(data.folder).train.tokens();
  const std::string chosen = choose_for_text(a.config, tokens);
  Trainer trainer(a.config, data.folder, data.tokenizer);
  std::optional<FoundCheckpoint> found;
  if (a.resume && folder) found = find_checkpoint(folder->path());
  if (found) trainer.resume(*found);
  if (folder) trainer.save_into(folder->path());
  Run run(a.config, folder ? &*folder : nullptr, trainer, data.tokenizer);
  // From here on there is a run, which stays. What could be wrong before left nothing.
  if (folder && !continued) folder->write_config(trainer.config());
  if (folder) folder->keep();
  if (folder && data.owned) data.owned->keep();
  describe(data, a.config, trainer, run);
  if (!chosen.empty()) run.say("settings   " + chosen);
  run.say("steps      " + in_words(trainer));
  if (folder) run.say(fmt::format("run        {}", folder->path().string()));
  if (found) {
    for (const std::string& refused : found->refused) run.say("refused    " + refused);
    run.say(fmt::format("resumed    at step {} of {}, from {}", found->position.step, trainer.total_steps(),
                        found->folder.string()));
  }
  if (const std::string short_run = too_short(trainer.total_steps()); !short_run.empty() && a.config.train.overfit == 0)
    run.say("short      " + short_run);
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

ExitCode run(int argc, char** argv) {
  Arguments a;
  HelpPage page{
      "train", "[CONFIG.toml]",
      "Trains a language model on text. Ctrl-C stops it and saves, --resume auto goes on with the same bits where "
      "--backend, --kernel and --composed are given again. The line of progress shows the mean loss of about the last "
      "20 steps; metrics.csv in the run folder has that of each step. Without CONFIG.toml and --data.train: the nano "
      "model on the text that comes with blalm, in about one minute on two cores with AMX, two with AVX-512, more "
      "without ('--dry-run 12' tells), with these settings in place of the defaults below:" +
          usual_settings() + ".",
      "train --preset mlstm --size nano --data.train corpus --optim.optimizer muon --run runs/first"};
  a.config.configure({});
  page.settings =
      "Settings, as flags or in CONFIG.toml under [section], and their defaults:\n" + fields_help(a.config.fields());
  std::vector<std::string> arguments(argv + 1, argv + argc);
  std::vector<Setting> flags = take_flags(arguments, a.config.fields());
  cxxopts::Options options = make_options(page);
  const auto text = [] { return cxxopts::value<std::string>(); };
  options.add_options()("run", "folder of the run (default: runs/ and the time)", text(), "DIR")(
      "resume", "auto: continue the run from its last good checkpoint, or begin it", text(), "auto")(
      "print-config", "show the resolved settings as TOML and stop")(
      "overfit", "train on this many batches again and again", text(), "N")(
      "dry-run", "stop after this many steps and leave nothing", text(), "N")(
      "anomaly", "stop at the first number that is not finite");
  add_kernel_options(options);
  const ParsedOptions parsed = parse_options(options, page, std::move(arguments));
  if (parsed.help) return ExitCode::kDone;
  for (const std::string name : {"overfit", "dry-run"})
    if (parsed.values.count(name) > 0)
      flags.push_back(
          {name == "overfit" ? "train.overfit" : "train.dry_run", parsed.values[name].as<std::string>(), "--" + name});
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
  a.settings = gather(parsed.positional, a.run, a.resume, flags);
  a.config.configure(a.settings);
  a.config.resolve();
  take_prepared_settings(a.config, a.settings);
  if (parsed.values.count("print-config") > 0) {
    write_out(a.config.to_toml());
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

constinit const Command train_command{"train", "train a model on text, or resume a run", run};

}  // namespace blalm
