// The language model (spec §4.1): token ids in, logits or a loss out.
//
//   ModelConfig config;
//   apply_preset(config, "swa-dynmod");
//   LanguageModel model(config, {.seed = 1});
//   Tape tape;
//   const Var loss = model.loss(tape, ids, targets);
//   tape.backward(loss);                              // fills parameter->grad of model.parameters()
//
// Models share nothing: several may live and train in one process, each on a thread and a tape of its own.
#pragma once

#include <memory>
#include <vector>

#include "models/embedding.h"
#include "models/layer.h"
#include "models/text_format.h"

namespace blalm {

// What lies between token ids and the output head. Its parameters are named "model.…".
class Backbone : public Module {
 public:
  Backbone(Module& parent, std::string name, const ModelConfig& config);
  Var forward(Pass& pass, const Tensor& ids);  // i32 [B, T] -> normed [B, T, d] in the operand dtype

  Embedding embed_tokens;

 private:
  ResidualStream run_layer(Pass& pass, Layer& layer, const ResidualStream& in) const;

  MetaTokens meta_tokens_;
  std::vector<std::unique_ptr<Layer>> layers_;
  RmsNorm norm_;
};

class LanguageModel : public Module {
 public:
  // Throws ConfigError when the config contradicts itself. Models of one seed and config have the same bits.
  explicit LanguageModel(const ModelConfig& config, const BuildOptions& options = {});

  const ModelConfig& config() const { return config_; }
  // The config as JSON: equal for models that can share parameters and decoding states.
  const std::string& fingerprint() const { return fingerprint_; }
  RunOptions run;          // may be changed at any time
  TextFormat text_format;  // of the texts it was trained on; its numbers do not depend on it

  // ids, targets: i32 [B, T], B and T at least 1; targets[b, t] follows ids[b, t], kIgnore where nothing is predicted.
  // DataError for an id or target outside the vocabulary.
  Var logits(Tape& tape, const Tensor& ids);                       // [B, T, V], f32 (f64)
  Var loss(Tape& tape, const Tensor& ids, const Tensor& targets);  // mean cross-entropy in nats, []
  // Cross-entropy of each position, 0 where ignored: f32 (f64) [B, T]. Leaves no trace on any tape.
  Tensor token_losses(const Tensor& ids, const Tensor& targets);

  // For decode.h: the logits [B, V] after the last of ids [B, T], from the positions that `state` has seen.
  Tensor next_logits(const Tensor& ids, DecodeState& state);

  // The parameter of this name, or null.
  Parameter* find(std::string_view name);

 private:
  Parameter& head_weight();
  Var head(Pass& pass, const Var& x);  // [..., d] -> [..., V]
  ops::HeadLossOptions head_options() const { return {.soft_cap = config_.logit_soft_cap}; }

  ModelConfig config_;
  std::string fingerprint_;
  Backbone backbone_;
  std::unique_ptr<Linear> lm_head_;  // null when the embedding serves as the head
};

}  // namespace blalm
