// Spec §15 T4: settings that must not differ, and features that must.
#include <doctest/doctest.h>

#include <cmath>

#include "models/features/mlstm_output.h"
#include "tests/models/support.h"

namespace blalm {
namespace {

using namespace test;

// Gives `model` the values of `other` wherever both have a parameter of the name.
void share_values(LanguageModel& model, LanguageModel& other) {
  for (Parameter* p : model.parameters())
    if (const Parameter* q = other.find(p->name)) p->value.copy_from(q->value);
}

// Distance of the logits of two configs that share all the parameters they can.
template <class Change>
double effect(const char* preset, Change&& change) {
  ModelConfig config = small_config(preset), changed = config;
  change(changed);
  LanguageModel model(config), other(changed);
  perturb(model);
  perturb(other);
  share_values(other, model);
  const Tensor ids = random_ids(2, 37, config.vocab_size);
  return relative_error(logits(other, ids), logits(model, ids));
}

}  // namespace

TEST_CASE("a window over everything is causal attention") {
  Rng rng(4);
  const Tensor q = Tensor::empty({2, 37, 4, 8}), k = Tensor::empty({2, 37, 2, 8}), v = Tensor::empty({2, 37, 2, 8});
  for (const Tensor& t : {q, k, v}) rng.fill_normal(t, 0, 1);
  const Tensor causal = ops::attention(q, k, v).value();
  for (const std::int64_t window : {37, 38, 1000})
    CHECK(relative_error(ops::attention(q, k, v, {.window = window}).value(), causal) < 1e-6);
  CHECK(relative_error(ops::attention(q, k, v, {.window = 36}).value(), causal) > 1e-4);
  for (const char* preset : {"swa", "swa-memory", "swa-dynmod", "full"}) {
    CAPTURE(preset);
    CHECK(effect(preset, [](ModelConfig& c) { c.swa_window = 37; }) > 1e-3);
    ModelConfig config = small_config(preset);
    config.swa_window = 37;  // the length of the sequence
    LanguageModel model(config);
    config.swa_window = 1000;
    LanguageModel wider(config);
    config.swa_memory = 0;
    LanguageModel without_memory(config);
    perturb(model);
    share_values(wider, model);
    share_values(without_memory, model);
    const Tensor ids = random_ids(2, 37, config.vocab_size), expected = logits(model, ids);
    CHECK(relative_error(logits(wider, ids), expected) < 1e-6);
    CHECK(relative_error(logits(without_memory, ids), expected) < 1e-6);
  }
}

TEST_CASE("alpha 0 under tanh is the model without a window") {
  const ModelConfig with = small_config("swa-dynmod"), without = small_config("mlstm");
  LanguageModel model(with), plain(without);
  perturb(model);
  for (Parameter* p : model.parameters())
    if (p->role == Role::scalar) p->value.fill(0);
  share_values(plain, model);
  const Tensor ids = random_ids(2, 37, with.vocab_size), targets = random_ids(2, 37, with.vocab_size, 3);
  CHECK(same_bits(logits(model, ids), logits(plain, ids)));
  run_step(model, ids, targets);
  for (Parameter* p : model.parameters())
    if (p->role == Role::scalar) CHECK(std::abs(p->grad.item()) > 1e-6);  // yet it can be learned
}

TEST_CASE("raw alpha 1 is the fixed modulation") {
  LanguageModel fixed(small_config("swa"));
  ModelConfig config = small_config("swa");
  config.swa_modulation = ops::Modulation::raw;
  LanguageModel raw(config);
  perturb(fixed);
  share_values(raw, fixed);
  for (Parameter* p : raw.parameters())
    if (p->role == Role::scalar) p->value.fill(1);
  const Tensor ids = random_ids(2, 37, config.vocab_size);
  CHECK(relative_error(logits(raw, ids), logits(fixed, ids)) < 1e-6);
}

TEST_CASE("a convolution of one tap of weight 1 without activation is the identity") {
  const Tensor x = Tensor::empty({2, 9, 5});
  Rng(1).fill_normal(x, 0, 1);
  CHECK(same_bits(ops::short_conv(x, Tensor::full({5, 1}, 1), false).value(), x));
}

TEST_CASE("an mLSTM that forgets nothing is cumulative linear attention") {
  const std::int64_t T = 40, D = 8, E = 6;
  const Tensor q = Tensor::empty({1, T, 1, D}, DType::f64), k = Tensor::empty({1, T, 1, D}, DType::f64);
  const Tensor v = Tensor::empty({1, T, 1, E}, DType::f64);
  Rng rng(2);
  for (const Tensor& t : {q, k, v}) rng.fill_normal(t, 0, 1);
  const Tensor i = Tensor::zeros({1, T, 1}, DType::f64), f = Tensor::full({1, T, 1}, 15, DType::f64);
  const Tensor h = ops::mlstm(q, k, v, i, f, {.scale = 1}).value();
  Tensor expected = Tensor::zeros(h.shape(), DType::f64);
  for (std::int64_t t = 0; t < T; ++t) {
    double a = 0;
    std::vector<double> sum(static_cast<std::size_t>(E), 0);
    for (std::int64_t s = 0; s <= t; ++s) {
      double score = 0;
      for (std::int64_t j = 0; j < D; ++j) score += q.at(t * D + j) * k.at(s * D + j);
      a += score;
      for (std::int64_t e = 0; e < E; ++e) sum[static_cast<std::size_t>(e)] += score * v.at(s * E + e);
    }
    for (std::int64_t e = 0; e < E; ++e)
      expected.mutable_data<double>()[t * E + e] = sum[static_cast<std::size_t>(e)] / std::max(std::abs(a), 1.0);
  }
  CHECK(relative_error(h, expected) < 1e-4);  // sigmoid(15) is not quite 1
}

TEST_CASE("the RMS norm of heads is spec §4.2's, head by head, with a weight a channel") {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Module root({.dtype = dtype});
    MlstmOutput norm(root, "head_norm", 3, 5, ops::HeadNormKind::rms);
    Tensor& weight = norm.parameters()[0]->value;
    const Tensor h = Tensor::empty({2, 4, 3, 5}, dtype);
    Rng rng(6);
    rng.fill_normal(weight, 1, 0.3);
    rng.fill_normal(h, 0, 2);
    Tape tape;
    RunOptions run;
    if (dtype == DType::f64) run.precision = Precision::f64();
    Pass pass{tape, run};
    const Tensor open = Tensor::full({2, 4, 15}, 40, dtype);  // a gate of 1
    const Tensor y = norm.forward(pass, h, open, {}).value();
    CHECK(y.shape() == Shape{2, 4, 15});
    const Tensor expected = Tensor::empty({2, 4, 15}, DType::f64);
    for (std::int64_t head = 0; head < 2 * 4 * 3; ++head) {
      double squares = 0;
      for (std::int64_t e = 0; e < 5; ++e) squares += std::pow(h.at(head * 5 + e), 2);
      for (std::int64_t e = 0; e < 5; ++e)
        expected.mutable_data<double>()[head * 5 + e] =
            weight.at(head % 3 * 5 + e) * h.at(head * 5 + e) / std::sqrt(squares / 5 + 1e-6);
    }
    CHECK(relative_error(y, expected) < (dtype == DType::f64 ? 1e-14 : 1e-6));
  }
}

TEST_CASE("every setting of the mixer has an effect") {
  using C = ModelConfig;
  CHECK(effect("mlstm", [](C& c) { c.conv_kernel = 2; }) > 1e-3);
  CHECK(effect("mlstm", [](C& c) { c.swa_window = 5; }) > 1e-3);
  CHECK(effect("mlstm", [](C& c) { c.feature_map = "hedgehog"; }) > 1e-3);
  CHECK(effect("mlstm", [](C& c) { c.mlstm_norm = ops::HeadNormKind::rms; }) > 1e-3);
  CHECK(effect("mlstm", [](C& c) { c.mlstm_norm = ops::HeadNormKind::none; }) > 1e-3);
  CHECK(effect("mlstm", [](C& c) { c.gate_soft_cap = 1; }) > 1e-4);
  CHECK(effect("mlstm", [](C& c) { c.logit_soft_cap = 1; }) > 1e-3);
  CHECK(effect("mlstm", [](C& c) { c.memory_kind = MemoryKind::meta, c.swa_memory = 2; }) > 1e-3);
  CHECK(effect("swa", [](C& c) { c.swa_memory = 3; }) > 1e-3);
  CHECK(effect("swa", [](C& c) { c.rope_theta = 10; }) > 1e-3);
  CHECK(effect("full", [](C& c) { c.swa_after_conv = false; }) > 1e-3);
  CHECK(effect("hedgehog", [](C& c) { c.hedgehog_map = ops::FeatureMap::exp; }) > 1e-3);
  CHECK(effect("swa-memory", [](C& c) { c.memory_kind = MemoryKind::meta; }) > 1e-3);
  for (int kind = 2; kind < 6; ++kind)  // all kinds differ from tanh
    CHECK(effect("swa-dynmod", [&](C& c) { c.swa_modulation = static_cast<ops::Modulation>(kind); }) > 1e-4);
  CHECK(effect("full", [](C& c) { c.chunk_size = 5; }) < 1e-5);  // but not how it is computed
}

TEST_CASE("shared key and value heads equal heads that are repeated") {
  for (const char* preset : {"transformer", "full"}) {
    CAPTURE(preset);
    ModelConfig config = small_config(preset);
    LanguageModel all(config);
    config.num_key_value_heads = 1;
    LanguageModel shared(config);
    perturb(shared);
    for (Parameter* p : all.parameters()) {
      const Tensor& value = shared.find(p->name)->value;
      if (value.shape() == p->value.shape()) {
        p->value.copy_from(value);
      } else {
        for (std::int64_t h = 0; h < 2; ++h) p->value.rows(h * 16, h * 16 + 16).copy_from(value);
      }
    }
    const Tensor ids = random_ids(2, 37, config.vocab_size);
    CHECK(relative_error(logits(shared, ids), logits(all, ids)) < 1e-5);
  }
}

TEST_CASE("an untied head with the embedding's values is the tied one") {
  ModelConfig config = small_config("mlstm");
  LanguageModel tied(config);
  config.tie_word_embeddings = false;
  LanguageModel untied(config);
  perturb(tied);
  share_values(untied, tied);
  untied.find("lm_head.weight")->value.copy_from(tied.find("model.embed_tokens.weight")->value);
  const Tensor ids = random_ids(2, 20, config.vocab_size), targets = random_ids(2, 20, config.vocab_size, 3);
  CHECK(same_bits(logits(tied, ids), logits(untied, ids)));
  run_step(tied, ids, targets);
  run_step(untied, ids, targets);
  // The tied gradient is the sum of both uses.
  const Tensor& both = tied.find("model.embed_tokens.weight")->grad;
  const Tensor &in = untied.find("model.embed_tokens.weight")->grad, &out = untied.find("lm_head.weight")->grad;
  Tensor sum = Tensor::empty(both.shape());
  for (std::int64_t i = 0; i < sum.numel(); ++i)
    sum.mutable_data<float>()[i] = static_cast<float>(in.at(i) + out.at(i));
  CHECK(relative_error(both, sum) < 1e-6);
}

}  // namespace blalm
