#include "blalm/models/config_lists.h"

#include <span>

#include "blalm/core/error.h"
#include "blalm/models/features/hedgehog.h"
#include "blalm/models/features/identity_map.h"
#include "blalm/models/mixers/attention.h"
#include "blalm/models/mixers/mlstm.h"

namespace blalm {
namespace {

template <class T>
std::unique_ptr<Mixer> mixer(Module& parent, std::string name, const ModelConfig& config) {
  return std::make_unique<T>(parent, std::move(name), config);
}

template <class T>
std::unique_ptr<FeatureMapModule> feature_map(Module& parent, std::string name, const ModelConfig& config,
                                              std::int64_t heads) {
  return std::make_unique<T>(parent, std::move(name), config, heads);
}

constexpr MixerEntry kMixers[] = {
    {"attention", "self_attn", mixer<AttentionMixer>, AttentionMixer::check},
    {"mlstm", "mlstm", mixer<MlstmMixer>, MlstmMixer::check},
};

constexpr FeatureMapEntry kFeatureMaps[] = {
    {"none", feature_map<IdentityMap>},
    {"hedgehog", feature_map<HedgehogMap>},
};

template <class Entry>
std::vector<std::string> names_of(std::span<const Entry> list) {
  std::vector<std::string> names;
  for (const Entry& e : list) names.emplace_back(e.name);
  return names;
}

template <class Entry>
const Entry& find(std::string_view what, std::span<const Entry> list, std::string_view name) {
  for (const Entry& e : list)
    if (e.name == name) return e;
  std::string all;
  for (const Entry& e : list) all += (all.empty() ? "one of " : ", ") + std::string(e.name);
  throw ConfigError(expected_got(what, all, name));
}

}  // namespace

std::vector<std::string> mixer_names() { return names_of(std::span<const MixerEntry>(kMixers)); }
const MixerEntry& find_mixer(std::string_view name) {
  return find("mixer", std::span<const MixerEntry>(kMixers), name);
}

std::vector<std::string> feature_map_names() { return names_of(std::span<const FeatureMapEntry>(kFeatureMaps)); }
const FeatureMapEntry& find_feature_map(std::string_view name) {
  return find("feature_map", std::span<const FeatureMapEntry>(kFeatureMaps), name);
}

}  // namespace blalm
