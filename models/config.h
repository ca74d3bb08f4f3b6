// What a model is made of. Keys are those of config.json; defaults are spec §2's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/fields.h"
#include "engine/ops/ops.h"

namespace blalm {

enum class MemoryKind { first, meta };                              // spec §9.1, §9.2
enum class ModulationScope { layer, head, channel };                // what has an alpha of its own, spec §10.1
enum class GateInit { automatic, xlstm7b, xlstm_paper, hf_llama };  // spec §5.8
enum class WeightInit { normal, xlstm };                            // spec §4.7

struct ModelConfig {
  std::int64_t vocab_size = 16000;
  std::int64_t hidden_size = 768;
  std::int64_t num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12;
  std::int64_t num_key_value_heads = 0;
  std::int64_t intermediate_size = 0;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  bool tie_word_embeddings = true;
  double logit_soft_cap = 0;
  WeightInit weight_init = WeightInit::normal;
  bool residual_init_scale = false;

  std::string mixer = "mlstm";
  std::int64_t conv_kernel = 0;
  std::int64_t swa_window = 0;
  std::int64_t swa_memory = 0;
  MemoryKind memory_kind = MemoryKind::first;
  ops::Modulation swa_modulation = ops::Modulation::fixed;
  ModulationScope modulation_scope = ModulationScope::layer;
  bool swa_after_conv = true;
  std::string feature_map = "none";
  ops::FeatureMap hedgehog_map = ops::FeatureMap::fla;

  double gate_soft_cap = 15;
  GateInit gate_init = GateInit::automatic;
  ops::HeadNormKind mlstm_norm = ops::HeadNormKind::layer;
  double mlstm_eps = 1e-6;
  std::int64_t chunk_size = 64;

  Fields fields();

  // Throws ConfigError when fields contradict each other (each alone is checked when it is set).
  void validate() const;
  // validate(), then what stands for "the usual" (0, auto) replaced by its value. Models hold resolved configs.
  ModelConfig resolved() const;

  std::int64_t key_value_heads() const { return num_key_value_heads > 0 ? num_key_value_heads : num_attention_heads; }
  std::int64_t head_dim() const { return hidden_size / num_attention_heads; }
  // Positions that learned meta tokens take before the first token.
  std::int64_t meta_tokens() const { return memory_kind == MemoryKind::meta ? swa_memory : 0; }
};

// The rows of the ablation table (spec §12): "transformer", "mlstm", "conv", "swa", …, "full".
const std::vector<std::string>& preset_names();
// Sets the mixer and its features to those of a row and leaves everything else as it is. "swa+c" is row swa with the
// short convolution on (the cumulative reading of the table, spec §1.2). ConfigError for an unknown name.
void apply_preset(ModelConfig& config, std::string_view name);

// "nano" 192x4, "tiny" 256x6, "small" 384x6, "base" 768x12 (width x layers).
const std::vector<std::string>& size_names();
// Sets widths, layers and heads. ConfigError for an unknown name.
void apply_size(ModelConfig& config, std::string_view name);

}  // namespace blalm
