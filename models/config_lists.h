// The mixers and features that a config can turn on. Each file in mixers/ and features/ defines its entry; the lists of
// them in config_lists.cpp are all that has to know.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/mixer.h"

namespace blalm {

struct ModelConfig;

struct MixerEntry {
  std::string_view name;    // as config.mixer has it
  std::string_view module;  // in parameter names: "model.layers.0.<module>.q_proj.weight"
  std::unique_ptr<Mixer> (*make)(Module& parent, std::string name, const ModelConfig& config);
  // Throws ConfigError for settings that this mixer cannot work with.
  void (*check)(const ModelConfig& config);
};

struct FeatureMapEntry {
  std::string_view name;  // as config.feature_map has it; in parameter names: "q_<name>.weight"
  // For `heads` heads of config.head_dim() features.
  std::unique_ptr<FeatureMapModule> (*make)(Module& parent, std::string name, const ModelConfig& config,
                                            std::int64_t heads);
};

struct StageEntry {
  std::string_view name;  // in parameter names: "q_<name>.weight"
  std::string_view key;   // of the config that turns it on
  bool (*on)(const ModelConfig& config);
  std::unique_ptr<Stage> (*make)(Module& parent, std::string name, const ModelConfig& config);
};

struct BranchEntry {
  std::string_view name;
  std::string_view key;
  bool (*on)(const ModelConfig& config);
  std::unique_ptr<Branch> (*make)(Module& parent, std::string name, const ModelConfig& config);
};

std::vector<std::string> mixer_names();
std::vector<std::string> feature_map_names();
// ConfigError for an unknown name.
const MixerEntry& find_mixer(std::string_view name);
const FeatureMapEntry& find_feature_map(std::string_view name);

// Those that the config turns on, in the order of the list; with all of them off, nothing: the identity.
std::vector<std::unique_ptr<Stage>> make_stages(Module& parent, const ModelConfig& config);
std::vector<std::unique_ptr<Branch>> make_branches(Module& parent, const ModelConfig& config);

// Throws ConfigError when the config turns on a feature map, stage or branch: for mixers that have no place for them.
void refuse_features(const ModelConfig& config);

// For entries: makes a T.
template <class Interface, class T, class... Args>
std::unique_ptr<Interface> make(Module& parent, std::string name, Args... args) {
  return std::make_unique<T>(parent, std::move(name), args...);
}

}  // namespace blalm
