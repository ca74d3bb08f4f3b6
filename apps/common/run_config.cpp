#include "apps/common/run_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "engine/core/error.h"
#include "engine/core/parallel.h"

namespace blalm {
namespace {

// "text.txt:1M" stays a file and a number of words.
void make_absolute(std::string& path) {
  if (!path.empty()) path = std::filesystem::weakly_canonical(std::filesystem::absolute(path)).string();
}

}  // namespace

Fields TrainConfig::fields() {
  constexpr OnResume kFree = OnResume::free;
  constexpr double kMany = 1e12;  // products of such numbers, below 1e6 each but for one, stay below 2^63
  Fields f("train");
  f.add("init", init, "folder of a model or a run whose weights it begins with; none: weights drawn by train.seed")
      .takes("PATH");
  f.add("seed", seed, "draws the initial weights");
  f.add("epochs", epochs, "passes over the training text; auto: one to ten, for 500 steps or more")
      .at_least(1)
      .at_most(1e6)
      .when_resumed(OnResume::lengthens);
  f.add("batch", batch, "sequences per step; auto: 4 to 64, for about 200 steps per pass").at_least(1).at_most(1e6);
  f.add("micro_batch", micro_batch, "sequences computed at once, a divisor of batch; 0: about 8192 tokens")
      .at_least(0)
      .at_most(1e6)
      .when_resumed(kFree);
  add_precision(f, precision);
  f.add("threads", threads, "of the computation; 0: as many as affinity and the quota of processor time allow")
      .at_least(0)
      .at_most(1024)
      .when_resumed(kFree);
  f.add("recompute", recompute, "keep only the layers' inputs for backward: less memory, more time")
      .when_resumed(kFree);
  f.add("valid_every", valid_every,
        "steps between validations, or share of all steps; 0: only at the beginning and the end")
      .whole()
      .at_most(kMany)
      .when_resumed(kFree);
  f.add(
       "valid_blocks", valid_blocks,
       "blocks of the held-out text in each validation, 0: all; auto: a fixed sample, so that all validations together "
       "cost at most a tenth of the run, and the whole text at the end where that allows it")
      .at_least(0)
      .at_most(kMany)
      .when_resumed(kFree);
  f.add("patience", patience, "stop after so many validations without a smaller loss, best/ keeps the best; 0: never")
      .at_least(0)
      .at_most(kMany)
      .when_resumed(kFree);
  f.add("save_minutes", save_minutes, "minutes between checkpoints in last/, after the first step's")
      .above(0)
      .at_most(1e9)
      .when_resumed(kFree);
  f.add("keep_previous", keep_previous, "keep the checkpoint before it, too, for when a file of last/ is damaged")
      .when_resumed(kFree);
  f.add("max_skipped", max_skipped, "stop after so many steps in a row whose gradient is not finite; 0: never")
      .at_least(0)
      .at_most(kMany)
      .when_resumed(kFree);
  f.add("milestones", milestones, "keep the model at 1M, 2M, … words seen, as chck_1M, …").when_resumed(kFree);
  f.add("sample_every", sample_every, "steps between samples, or share of all steps; 0: only at the end")
      .whole()
      .at_most(kMany)
      .when_resumed(kFree);
  f.add("prompts", prompts, "what samples begin with; given again for more of them").when_resumed(kFree);
  f.add("sample_tokens", sample_tokens, "length of a sample").at_least(1).at_most(4096).when_resumed(kFree);
  f.add("histogram_every", histogram_every, "steps between histograms of weights and gradients; 0: none")
      .whole()
      .at_most(kMany)
      .when_resumed(kFree);
  f.add("overfit", overfit, "train on this many batches again and again, to see the loss go to 0; 0: off")
      .at_least(0)
      .at_most(1e9);
  f.add("dry_run", dry_run, "stop after this many steps and leave no run folder; 0: off")
      .at_least(0)
      .at_most(kMany)
      .when_resumed(kFree);
  f.add("anomaly", anomaly, "stop at the first value or gradient that is not finite, and name its operation")
      .when_resumed(kFree);
  return f;
}

Fields RunLabels::fields() {
  Fields f("run");
  f.add("name", name, "what the run is called").when_resumed(OnResume::free);
  f.add("notes", notes, "what it is for, or anything else").when_resumed(OnResume::free);
  f.add("tags", tags, "words to find it by").when_resumed(OnResume::free);
  return f;
}

Fields RunConfig::fields() {
  Fields f;
  f.add("preset", preset, "row of the ablation table").one_of(preset_names());
  f.add("size", size, "width and layers").one_of(size_names());
  f.append(run.fields());
  f.append(model.fields());
  f.append(optim.fields());
  f.append(data.fields());
  f.append(train.fields());
  return f;
}

void RunConfig::configure(std::vector<Setting> settings) {
  const Fields all = fields();
  std::vector<Setting> first;
  for (const Setting& s : settings)
    if (s.path == "preset" || s.path == "size") first.push_back(s);
  apply_settings(first, all);
  apply_preset(model, preset);
  apply_size(model, size);
  apply_settings(settings, all);
  optim.validate();
}

void RunConfig::resolve_paths() {
  for (std::string& path : data.train) make_absolute(path);
  for (std::string& path : data.valid) make_absolute(path);
  make_absolute(data.tokenizer);
  make_absolute(train.init);
}

void RunConfig::take_older_seeds() {
  data.split_seed = data.seed;
  data.seed += train.seed;
}

void RunConfig::resolve() {
  resolve_paths();
  train.precision = resolved(train.precision);
  optim.ns_precision = resolved(optim.ns_precision, train.precision);
  if (train.threads > 0) set_num_threads(static_cast<int>(train.threads));
  train.threads = num_threads();
  if (!train.batch.automatic) check_micro_batch();
}

void RunConfig::check_micro_batch() const {
  if (train.micro_batch != 0 && train.batch % train.micro_batch != 0)
    throw ConfigError(expected_got("train.micro_batch", fmt::format("a divisor of train.batch = {}", train.batch.value),
                                   std::to_string(train.micro_batch)));
}

bool RunConfig::says(const Field& f) const {
  const bool is_tokenizers = f.path() == "data.vocab_size" && !data.tokenizer.empty();
  return !is_tokenizers && std::ranges::find(left_out, f.path()) == left_out.end();
}

std::string RunConfig::to_toml() {
  return blalm::to_toml(fields(), [this](const Field& f) { return says(f); });
}

std::map<std::string, std::string> RunConfig::settings() {
  std::map<std::string, std::string> values;
  const Fields all = fields();
  for (const Field& f : all.list())
    if (says(f)) values[f.path()] = f.get();
  return values;
}

std::string RunConfig::model_name() {
  std::string name;
  const std::map<std::string, std::string> all = settings();
  for (const char* part : {"preset", "size"})
    if (all.contains(part)) name += (name.empty() ? "" : " ") + all.at(part);
  return name.empty() ? "of its own settings" : name;
}

}  // namespace blalm
