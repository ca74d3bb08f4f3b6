// What the tests of models share: small configs, random ids, distances.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/rng.h"
#include "models/language_model.h"
#include "tests/support/tensors.h"

namespace blalm::test {

// A preset in a size where everything is small but odd enough to matter: two layers, chunks and windows shorter than
// the sequences.
inline ModelConfig small_config(std::string_view preset) {
  ModelConfig c;
  c.vocab_size = 41;
  c.hidden_size = 32;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 2;
  c.intermediate_size = 48;
  c.chunk_size = 16;
  apply_preset(c, preset);
  if (c.swa_window > 0) c.swa_window = 9;
  return c;
}

// Weights far from their first values, so that no feature hides behind a zero.
inline void perturb(LanguageModel& model, double amount = 0.15, std::uint64_t seed = 99) {
  for (Parameter* p : model.parameters()) {
    Rng rng(seed, stream_of(p->name));
    Tensor noise = Tensor::empty(p->value.shape(), DType::f64), sum = p->value.to(DType::f64).clone();
    const bool input_bias = p->name.ends_with("igate.bias");  // -10 would leave the mLSTM next to nothing to say
    rng.fill_normal(noise, 0, input_bias ? 1 : amount);
    if (input_bias) sum.fill(0);
    double* s = sum.mutable_data<double>();
    for (std::int64_t i = 0; i < sum.numel(); ++i) s[i] += noise.at(i);
    p->value.copy_from(sum);
  }
}

inline Tensor random_ids(std::int64_t batch, std::int64_t length, std::int64_t vocabulary, std::uint64_t seed = 5) {
  Rng rng(seed);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(batch * length));
  for (auto& id : ids) id = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(vocabulary)));
  return Tensor::from_ids({batch, length}, ids);
}

// Columns [begin, end) of i32 [B, T].
inline Tensor columns(const Tensor& ids, std::int64_t begin, std::int64_t end) {
  Tensor part = Tensor::empty({ids.dim(0), end - begin}, DType::i32);
  for (std::int64_t b = 0; b < ids.dim(0); ++b) part.row(b).copy_from(ids.row(b).rows(begin, end));
  return part;
}

inline bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

inline bool all_finite(const Tensor& t) {
  for (std::int64_t i = 0; i < t.numel(); ++i)
    if (!std::isfinite(t.at(i))) return false;
  return true;
}

inline Tensor logits(LanguageModel& model, const Tensor& ids) {
  Tape tape;
  return model.logits(tape, ids).value();
}

// The loss of one step; gradients are left in the parameters.
inline double run_step(LanguageModel& model, const Tensor& ids, const Tensor& targets) {
  for (Parameter* p : model.parameters()) p->zero_grad();
  Tape tape;
  const Var loss = model.loss(tape, ids, targets);
  tape.backward(loss);
  return loss.value().item();
}

}  // namespace blalm::test
