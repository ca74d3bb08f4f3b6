#include "models/language_model.h"

#include <fmt/format.h>

#include "engine/autograd/modes.h"
#include "engine/autograd/recompute.h"
#include "engine/core/error.h"
#include "models/config_json.h"
#include "models/decode.h"
#include "models/weight_init.h"

namespace blalm {
namespace {

void check_ids(const char* name, const Tensor& ids) {
  if (!ids.defined() || ids.rank() != 2 || ids.dtype() != DType::i32)
    throw ShapeError(expected_got("model", fmt::format("{} i32 [batch, length]", name), ids.str()));
  if (ids.numel() == 0)
    throw DataError(expected_got("model", fmt::format("{} of at least one token", name), ids.str()));
}

void check_targets(const Tensor& ids, const Tensor& targets) {
  check_ids("ids", ids);
  check_ids("targets", targets);
  if (targets.shape() != ids.shape())
    throw ShapeError(expected_got("model", fmt::format("targets of {}", ids.shape().str()), targets.shape().str()));
}

Tensor flat(const Tensor& t) { return t.reshape({t.numel()}); }

Var as_rows(const Var& x) { return ops::reshape(x, {x.value().numel() / x.dim(-1), x.dim(-1)}); }

}  // namespace

Backbone::Backbone(Module& parent, std::string name, const ModelConfig& c)
    : Module(parent, std::move(name)),
      embed_tokens(*this, "embed_tokens", c),
      meta_tokens_(*this, "meta_tokens", c),
      layers_([&] {
        std::vector<std::unique_ptr<Layer>> layers;
        for (std::int64_t l = 0; l < c.num_hidden_layers; ++l)
          layers.push_back(std::make_unique<Layer>(*this, fmt::format("layers.{}", l), c));
        return layers;
      }()),
      norm_(*this, "norm", c.hidden_size, c.rms_norm_eps) {}

Var Backbone::forward(Pass& pass, const Tensor& ids) {
  ResidualStream x{meta_tokens_.prepend(pass, embed_tokens.forward(pass, ids))};  // [B, M + T, d]
  for (const auto& layer : layers_) x = run_layer(pass, *layer, x);
  return norm_.forward(pass, meta_tokens_.drop(pass, x)).normed;  // [B, T, d]
}

ResidualStream Backbone::run_layer(Pass& pass, Layer& layer, const ResidualStream& in) const {
  if (!pass.options.recompute || pass.decoding()) return layer.forward(pass, in);
  // Summed, so that one tensor a layer is kept and not two.
  const Var inputs[] = {in.sum()};
  return {recompute(pass.tape, inputs, [&layer, options = pass.options](Tape& tape, std::span<const Var> x) {
    Pass again{tape, options};
    return layer.forward(again, {x[0]}).sum();
  })};
}

LanguageModel::LanguageModel(const ModelConfig& config, const BuildOptions& options)
    : Module(options), config_(config.resolved()), fingerprint_(to_json(config_)), backbone_(*this, "model", config_) {
  if (!config_.tie_word_embeddings)
    lm_head_ = std::make_unique<Linear>(*this, "lm_head", config_.hidden_size, config_.vocab_size, inner_init(config_),
                                        Role::embedding);
  if (options.dtype == DType::f64) run.precision = Precision::f64();
}

Parameter& LanguageModel::head_weight() {
  return lm_head_ != nullptr ? lm_head_->weight : backbone_.embed_tokens.weight;
}

Var LanguageModel::head(Pass& pass, const Var& x) {
  const Scope scope(pass.tape, "lm_head");
  const Var z = ops::linear_to(pass.compute(), x, pass.parameter(head_weight()));
  return config_.logit_soft_cap > 0 ? ops::soft_cap(z, config_.logit_soft_cap) : z;
}

Var LanguageModel::logits(Tape& tape, const Tensor& ids) {
  check_ids("ids", ids);
  Pass pass{tape, run};
  return head(pass, backbone_.forward(pass, ids));
}

Var LanguageModel::loss(Tape& tape, const Tensor& ids, const Tensor& targets) {
  check_targets(ids, targets);
  Pass pass{tape, run};
  const Var x = as_rows(backbone_.forward(pass, ids));  // [B·T, d]
  const Scope scope(tape, "lm_head");
  return ops::linear_cross_entropy(x, pass.parameter(head_weight()), flat(targets), head_options());
}

Tensor LanguageModel::token_losses(const Tensor& ids, const Tensor& targets) {
  check_targets(ids, targets);
  const InferenceMode inference;
  Tape tape;
  Pass pass{tape, run};
  const Var x = as_rows(backbone_.forward(pass, ids));
  return ops::token_losses(x.value(), head_weight().value, flat(targets), head_options()).reshape(ids.shape());
}

Tensor LanguageModel::next_logits(const Tensor& ids, DecodeState& state) {
  check_ids("ids", ids);
  state.check(*this, ids.dim(0));
  const InferenceMode inference;
  Tape tape;
  Pass pass{tape, run, &state};
  const Var x = backbone_.forward(pass, ids);                 // [B, T, d]
  const Var last = ops::slice(x, 1, x.dim(1) - 1, x.dim(1));  // [B, 1, d]
  state.advance(ids.dim(1) + (state.position() == 0 ? config_.meta_tokens() : 0));
  return ops::reshape(head(pass, last), {ids.dim(0), config_.vocab_size}).value();
}

Parameter* LanguageModel::find(std::string_view name) {
  for (Parameter* p : parameters())
    if (p->name == name) return p;
  return nullptr;
}

}  // namespace blalm
