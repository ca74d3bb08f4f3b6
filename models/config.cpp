#include "models/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/core/error.h"
#include "models/config_lists.h"

namespace blalm {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

struct Named {
  std::string name;
  Settings settings;
};

// Rows of the ablation table. A key that a row does not name, but another does, has its default.
const std::vector<Named>& presets() {
  static const std::vector<Named> list = {
      {"transformer", {{"mixer", "attention"}}},
      {"mlstm", {}},
      {"conv", {{"conv_kernel", "4"}}},
      {"swa", {{"swa_window", "64"}}},
      {"swa-memory", {{"swa_window", "64"}, {"swa_memory", "4"}}},
      {"swa-dynmod", {{"swa_window", "64"}, {"swa_modulation", "tanh"}}},
      {"swa-dynmod-bounded", {{"swa_window", "64"}, {"swa_modulation", "sigmoid"}}},
      {"hedgehog", {{"feature_map", "hedgehog"}}},
      {"hedgehog-swa", {{"feature_map", "hedgehog"}, {"swa_window", "64"}}},
      {"full",
       {{"conv_kernel", "4"},
        {"swa_window", "64"},
        {"swa_memory", "4"},
        {"swa_modulation", "tanh"},
        {"feature_map", "hedgehog"}}},
  };
  return list;
}

const std::vector<Named>& sizes() {
  static const auto size = [](std::string name, int width, int layers, int heads, int ffn) {
    return Named{std::move(name),
                 {{"hidden_size", std::to_string(width)},
                  {"num_hidden_layers", std::to_string(layers)},
                  {"num_attention_heads", std::to_string(heads)},
                  {"num_key_value_heads", "0"},
                  {"intermediate_size", std::to_string(ffn)}}};
  };
  static const std::vector<Named> list = {size("nano", 192, 4, 3, 512), size("tiny", 256, 6, 4, 704),
                                          size("small", 384, 6, 6, 1024), size("base", 768, 12, 12, 2048)};
  return list;
}

std::vector<std::string> names_of(const std::vector<Named>& list) {
  std::vector<std::string> names;
  for (const Named& n : list) names.push_back(n.name);
  return names;
}

const Named& find(const char* what, const std::vector<Named>& list, std::string_view name) {
  const auto it = std::ranges::find(list, name, &Named::name);
  if (it != list.end()) return *it;
  const std::string near = nearest(name, names_of(list));
  std::string all;
  for (const Named& n : list) all += (all.empty() ? "" : ", ") + n.name;
  throw ConfigError(
      expected_got(what, "one of " + all, name, near.empty() ? "" : fmt::format("did you mean {}?", near)));
}

void set(ModelConfig& config, std::string_view key, std::string_view value) {
  config.fields().set(fmt::format("model.{}", key), value);
}

void require(bool holds, std::string_view expected, const std::string& got, std::string_view hint = {}) {
  if (!holds) throw ConfigError(expected_got("config", expected, got, hint));
}

}  // namespace

Fields ModelConfig::fields() {
  constexpr double kMany = 1 << 24, kManyLayers = 10000;
  Fields f("model");
  f.add("vocab_size", vocab_size, "tokens in the vocabulary; in training those of the tokenizer")
      .at_least(1)
      .at_most(kMany)
      .when_resumed(OnResume::of_data);
  f.add("hidden_size", hidden_size, "width of the residual stream").at_least(1).at_most(kMany);
  f.add("num_hidden_layers", num_hidden_layers, "layers").at_least(1).at_most(kManyLayers);
  f.add("num_attention_heads", num_attention_heads, "heads of the mixer").at_least(1).at_most(kMany);
  f.add("num_key_value_heads", num_key_value_heads, "heads of keys and values, shared by groups of query heads; 0: all")
      .at_least(0)
      .at_most(kMany);
  f.add("intermediate_size", intermediate_size,
        "width inside the feed-forward part; 0: 8/3 of hidden_size, rounded up to 64")
      .at_least(0)
      .at_most(kMany);
  f.add("rms_norm_eps", rms_norm_eps, "added to the mean square in RMSNorm").above(0).at_most(1);
  f.add("rope_theta", rope_theta, "base of the rotary positions of attention").above(0);
  f.add("tie_word_embeddings", tie_word_embeddings, "use the embedding as the output head");
  f.add("logit_soft_cap", logit_soft_cap, "bound of the output logits, c tanh(z / c); 0: none").at_least(0);
  f.add("weight_init", weight_init, {"normal", "xlstm"}, "first values of the matrices");
  f.add("residual_init_scale", residual_init_scale,
        "shrink matrices that write to the residual stream by (2 layers)^-1/2");
  f.add("mixer", mixer, "what mixes positions").one_of(mixer_names());
  f.add("conv_kernel", conv_kernel, "taps of the short convolution on queries, keys and values; 0: off")
      .at_least(0)
      .at_most(4096);
  f.add("swa_window", swa_window, "positions that sliding-window attention sees; 0: off").at_least(0).at_most(kMany);
  f.add("swa_memory", swa_memory, "positions that every later one sees besides its window").at_least(0).at_most(kMany);
  f.add("memory_kind", memory_kind, {"first", "meta"},
        "what the memory holds: the first tokens, or learned vectors put before them");
  f.add("swa_modulation", swa_modulation, {"fixed", "tanh", "sigmoid", "raw", "convex", "clamp"},
        "weight of the window's output, as a function of a learned alpha");
  f.add("modulation_scope", modulation_scope, {"layer", "head", "channel"}, "what has an alpha of its own");
  f.add("swa_after_conv", swa_after_conv, "the window sees queries, keys and values after the short convolution");
  f.add("feature_map", feature_map, "map of queries and keys before the mLSTM").one_of(feature_map_names());
  f.add("hedgehog_map", hedgehog_map, {"fla", "lol", "exp"}, "form of the Hedgehog map");
  f.add("gate_soft_cap", gate_soft_cap, "bound of the gates before exp and sigmoid").above(0).at_most(80);
  f.add("gate_init", gate_init, {"auto", "xlstm7b", "xlstm_paper", "hf_llama"}, "first values of the gates");
  f.add("mlstm_norm", mlstm_norm, {"layer", "rms", "none"}, "norm of each head of the mLSTM output");
  f.add("mlstm_eps", mlstm_eps, "added to the mLSTM normaliser").at_least(0).at_most(1);
  f.add("chunk_size", chunk_size, "positions a chunk of the chunkwise mLSTM").at_least(1).at_most(kMany);
  return f;
}

void ModelConfig::validate() const {
  require(hidden_size % num_attention_heads == 0, "num_attention_heads that divides hidden_size",
          fmt::format("{} for {}", num_attention_heads, hidden_size));
  require(num_attention_heads % key_value_heads() == 0, "num_key_value_heads that divides num_attention_heads",
          fmt::format("{} for {}", num_key_value_heads, num_attention_heads));
  require(swa_window == 0 || head_dim() % 2 == 0,
          "an even head dimension with swa_window, which rotates pairs of features",
          fmt::format("{} ({} / {} heads)", head_dim(), hidden_size, num_attention_heads));
  require(swa_window > 0 || meta_tokens() > 0 || swa_memory == 0, "swa_window above 0 with swa_memory",
          fmt::format("swa_window 0, swa_memory {}", swa_memory), "memory widens a window");
  require(swa_window > 0 || swa_modulation == ops::Modulation::fixed, "swa_window above 0 with swa_modulation",
          "swa_window 0", "the modulation weighs the output of the window");
  require(weight_init == WeightInit::normal || !residual_init_scale, "residual_init_scale false with weight_init xlstm",
          "true", "that initialisation shrinks the same matrices");
  // Far above any machine's memory, far below where counts of bytes and operations would overflow.
  constexpr double kMostNumbers = 1e17;
  const auto real = [](std::int64_t n) { return static_cast<double>(n); };
  const double width = real(hidden_size), inner = intermediate_size > 0 ? real(intermediate_size) : 4 * width;
  const double layer = width * (8 * width + 3 * inner + 2 * real(swa_window + swa_memory + conv_kernel));
  const double numbers = real(num_hidden_layers) * layer + 2 * real(vocab_size) * width;
  require(numbers <= kMostNumbers, fmt::format("a model of at most {:g} numbers", kMostNumbers),
          fmt::format("about {:.0e}", numbers), "narrower or fewer layers, or a smaller window");
  find_mixer(mixer).check(*this);
}

ModelConfig ModelConfig::resolved() const {
  validate();
  ModelConfig c = *this;
  c.num_key_value_heads = key_value_heads();
  if (c.intermediate_size == 0) c.intermediate_size = 64 * ((8 * hidden_size + 191) / 192);  // 64 ceil((8 d / 3) / 64)
  if (c.gate_init == GateInit::automatic)
    c.gate_init = feature_map == "none" ? GateInit::xlstm7b : GateInit::xlstm_paper;
  return c;
}

const std::vector<std::string>& preset_names() {
  static const std::vector<std::string> names = names_of(presets());
  return names;
}

void apply_preset(ModelConfig& config, std::string_view name) {
  constexpr std::string_view kWithConv = "+c";
  const bool with_conv = name.ends_with(kWithConv);
  const Named& row = find("preset", presets(), name.substr(0, name.size() - (with_conv ? kWithConv.size() : 0)));
  ModelConfig defaults;
  const Fields unset = defaults.fields();
  for (const Named& any : presets())
    for (const auto& [key, value] : any.settings) set(config, key, unset.at(fmt::format("model.{}", key)).get());
  for (const auto& [key, value] : row.settings) set(config, key, value);
  if (with_conv) set(config, "conv_kernel", "4");
}

const std::vector<std::string>& size_names() {
  static const std::vector<std::string> names = names_of(sizes());
  return names;
}

void apply_size(ModelConfig& config, std::string_view name) {
  for (const auto& [key, value] : find("size", sizes(), name).settings) set(config, key, value);
}

}  // namespace blalm
