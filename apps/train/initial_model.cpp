#include "apps/train/initial_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "apps/common/folders.h"
#include "data/shards/prepared.h"
#include "data/shards/text_encoder.h"
#include "engine/core/error.h"
#include "models/model_folder.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

// Whether the model stays what it is under a change of its configuration.
bool agrees(const ModelConfig& model, const std::function<void(ModelConfig&)>& change) {
  ModelConfig changed = model;
  try {
    change(changed);
    changed = changed.resolved();
  } catch (const ConfigError&) {
    return false;
  }
  ModelConfig same = model;
  const Fields a = same.fields(), b = changed.fields();
  return std::ranges::equal(a.list(), b.list(), {}, &Field::get, &Field::get);
}

void require_agreement(const ModelConfig& model, const Setting& setting, const fs::path& folder) {
  const auto refuse = [&](const std::string& expected) {
    throw ConfigError(expected_got(setting.path, fmt::format("{}, as in the model '{}'", expected, folder.string()),
                                   setting.value, "leave it out"));
  };
  if (setting.path == "preset" && !agrees(model, [&](ModelConfig& c) { apply_preset(c, setting.value); }))
    refuse("the mixer and its features");
  if (setting.path == "size" && !agrees(model, [&](ModelConfig& c) { apply_size(c, setting.value); }))
    refuse("the widths and layers");
  if (setting.path.starts_with("model.") &&
      !agrees(model, [&](ModelConfig& c) { c.fields().set(setting.path, setting.value); })) {
    ModelConfig same = model;
    refuse(same.fields().at(setting.path).get());
  }
}

// The name under which the model is known; one that has none is not written to the run's config.toml.
void take_name(RunConfig& config, std::string RunConfig::*name, const std::vector<std::string>& names,
               void (*apply)(ModelConfig&, std::string_view), const char* path) {
  const auto found = std::ranges::find_if(names, [&](const std::string& candidate) {
    return agrees(config.model, [&](ModelConfig& c) { apply(c, candidate); });
  });
  if (found != names.end())
    config.*name = *found;
  else
    config.left_out.push_back(path);
}

}  // namespace

void take_initial_model(RunConfig& config, const std::vector<Setting>& given) {
  const fs::path folder = find_model_folder(config.train.init);
  config.model = load_config(folder);
  for (const Setting& setting : given) require_agreement(config.model, setting, folder);
  take_name(config, &RunConfig::preset, preset_names(), apply_preset, "preset");
  take_name(config, &RunConfig::size, size_names(), apply_size, "size");
  const bool is_prepared_data = config.data.train.size() == 1 && is_prepared(config.data.train[0]);
  if (is_prepared_data || !config.data.tokenizer.empty()) return;
  if (!fs::exists(folder / "tokenizer.json"))
    throw ConfigError(expected_got("data.tokenizer", fmt::format("the tokenizer of the model '{}'", folder.string()),
                                   "none, and there is no tokenizer.json in its folder"));
  config.data.tokenizer = folder.string();
}

void require_tokenizer_of_model(const RunConfig& config, const Tokenizer& tokenizer) {
  const fs::path folder = find_model_folder(config.train.init);
  const bool is_same = !fs::exists(folder / "tokenizer.json") ||
                       id_of(Tokenizer::load(folder)).fingerprint == id_of(tokenizer).fingerprint;
  if (!is_same || tokenizer.vocab_size() > config.model.vocab_size)
    throw ConfigError(expected_got("train.init", fmt::format("the tokenizer of the model '{}'", folder.string()),
                                   "data of another", "prepare the text with --data.tokenizer and that folder"));
}

}  // namespace blalm
