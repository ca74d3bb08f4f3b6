#include "blalm/apps/train/run_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "blalm/core/error.h"
#include "blalm/core/parallel.h"

namespace blalm {
namespace {

// "text.txt:1M" stays a file and a number of words.
void make_absolute(std::string& path) {
  if (!path.empty()) path = std::filesystem::weakly_canonical(std::filesystem::absolute(path)).string();
}

}  // namespace

Fields TrainConfig::fields() {
  Fields f("train");
  f.add("seed", seed, "of initial weights and of the order of the blocks");
  f.add("epochs", epochs, "passes over the training text; auto: one to ten, for 500 steps or more").at_least(1);
  f.add("batch", batch, "sequences per step; auto: 4 to 64, for about 200 steps per pass").at_least(1).at_most(1e6);
  f.add("micro_batch", micro_batch, "sequences computed at once, a divisor of batch; 0: about 8192 tokens").at_least(0);
  add_precision(f, precision);
  f.add("threads", threads, "of the computation; 0: as many as affinity and the quota of processor time allow")
      .at_least(0)
      .at_most(1024);
  f.add("recompute", recompute, "keep only the layers' inputs for backward: less memory, more time");
  f.add("valid_every", valid_every,
        "steps between validations, or share of all steps; 0: only at the beginning and the end");
  f.add(
       "valid_blocks", valid_blocks,
       "blocks of the held-out text in each validation, 0: all; auto: a fixed sample, so that all validations together "
       "cost at most a tenth of the run, and the whole text at the end where that allows it")
      .at_least(0);
  f.add("patience", patience, "stop after so many validations without a smaller loss, best/ keeps the best; 0: never")
      .at_least(0);
  f.add("save_minutes", save_minutes, "minutes between checkpoints in last/").above(0);
  f.add("milestones", milestones, "keep the model at 1M, 2M, … words seen, as chck_1M, …");
  f.add("sample_every", sample_every, "steps between samples, or share of all steps; 0: only at the end");
  f.add("prompts", prompts, "what samples begin with");
  f.add("sample_tokens", sample_tokens, "length of a sample").at_least(1).at_most(4096);
  f.add("histogram_every", histogram_every, "steps between histograms of weights and gradients; 0: none");
  f.add("overfit", overfit, "train on this many batches again and again, to see the loss go to 0; 0: off").at_least(0);
  f.add("dry_run", dry_run, "stop after this many steps and leave no run folder; 0: off").at_least(0);
  f.add("anomaly", anomaly, "stop at the first value or gradient that is not finite, and name its operation");
  return f;
}

Fields RunConfig::fields() {
  Fields f;
  f.add("preset", preset, "row of the ablation table").one_of(preset_names());
  f.add("size", size, "width and layers").one_of(size_names());
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
}

void RunConfig::resolve_paths() {
  for (std::string& path : data.train) make_absolute(path);
  for (std::string& path : data.valid) make_absolute(path);
  make_absolute(data.tokenizer);
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

std::string RunConfig::to_toml() {
  const auto wanted = [this](const Field& f) {
    const bool is_tokenizers = f.path() == "data.vocab_size" && !data.tokenizer.empty();
    return !is_tokenizers && std::ranges::find(left_out, f.path()) == left_out.end();
  };
  return blalm::to_toml(fields(), wanted);
}

bool may_change_on_resume(const std::string& path) {
  constexpr std::array kFree = {"model.vocab_size",      "train.threads",       "train.save_minutes",
                                "train.prompts",         "train.sample_tokens", "train.sample_every",
                                "train.histogram_every", "train.anomaly",       "train.dry_run"};
  return std::ranges::find(kFree, path) != kFree.end();
}

}  // namespace blalm
