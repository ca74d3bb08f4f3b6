// The mixers and feature maps that a config can name. A new one is a file in mixers/ or features/ and a line in
// config_lists.cpp (docs/adding-a-mixer.md).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "blalm/models/mixer.h"

namespace blalm {

struct ModelConfig;

struct MixerEntry {
  std::string_view name;    // in config.json
  std::string_view module;  // in parameter names: "model.layers.0.<module>.q_proj.weight"
  std::unique_ptr<Mixer> (*make)(Module& parent, std::string name, const ModelConfig& config);
  // Throws ConfigError for settings that this mixer has no use for.
  void (*check)(const ModelConfig& config);
};
std::vector<std::string> mixer_names();
// ConfigError for an unknown name.
const MixerEntry& find_mixer(std::string_view name);

struct FeatureMapEntry {
  std::string_view name;
  // For `heads` heads of config.head_dim() features.
  std::unique_ptr<FeatureMapModule> (*make)(Module& parent, std::string name, const ModelConfig& config,
                                            std::int64_t heads);
};
std::vector<std::string> feature_map_names();
const FeatureMapEntry& find_feature_map(std::string_view name);

}  // namespace blalm
