#include "models/config_lists.h"

#include <fmt/format.h>

#include <span>

#include "engine/core/error.h"
#include "models/config.h"

namespace blalm {

// Each is defined in the file of its name, in mixers/ or features/.
extern const MixerEntry attention_mixer, mlstm_mixer;
extern const FeatureMapEntry identity_map, hedgehog_map;
extern const StageEntry short_conv_stage;
extern const BranchEntry window_attention_branch;

namespace {

constexpr const MixerEntry* kMixers[] = {&attention_mixer, &mlstm_mixer};
constexpr const FeatureMapEntry* kFeatureMaps[] = {&identity_map, &hedgehog_map};
constexpr const StageEntry* kStages[] = {&short_conv_stage};
constexpr const BranchEntry* kBranches[] = {&window_attention_branch};

template <class List>
std::vector<std::string> names_of(const List& list) {
  std::vector<std::string> names;
  for (const auto* entry : list) names.emplace_back(entry->name);
  return names;
}

template <class List>
const auto& find(std::string_view what, const List& list, std::string_view name) {
  for (const auto* entry : list)
    if (entry->name == name) return *entry;
  std::string all;
  for (const auto* entry : list) all += (all.empty() ? "one of " : ", ") + std::string(entry->name);
  throw ConfigError(expected_got(what, all, name));
}

// What the config turns on.
template <class Interface, class List>
std::vector<std::unique_ptr<Interface>> made(const List& list, Module& parent, const ModelConfig& config) {
  std::vector<std::unique_ptr<Interface>> all;
  for (const auto* entry : list)
    if (entry->on(config)) all.push_back(entry->make(parent, std::string(entry->name), config));
  return all;
}

}  // namespace

std::vector<std::string> mixer_names() { return names_of(kMixers); }
std::vector<std::string> feature_map_names() { return names_of(kFeatureMaps); }
const MixerEntry& find_mixer(std::string_view name) { return find("mixer", kMixers, name); }
const FeatureMapEntry& find_feature_map(std::string_view name) { return find("feature_map", kFeatureMaps, name); }

std::vector<std::unique_ptr<Stage>> make_stages(Module& parent, const ModelConfig& config) {
  return made<Stage>(kStages, parent, config);
}
std::vector<std::unique_ptr<Branch>> make_branches(Module& parent, const ModelConfig& config) {
  return made<Branch>(kBranches, parent, config);
}

void refuse_features(const ModelConfig& config) {
  const auto refuse = [&](std::string_view key) {
    throw ConfigError(expected_got("config", fmt::format("mixer mlstm with {}", key),
                                   fmt::format("mixer {}", config.mixer), "that feature belongs to the mLSTM mixer"));
  };
  if (config.feature_map != identity_map.name) refuse("feature_map");
  for (const StageEntry* e : kStages)
    if (e->on(config)) refuse(e->key);
  for (const BranchEntry* e : kBranches)
    if (e->on(config)) refuse(e->key);
}

}  // namespace blalm
