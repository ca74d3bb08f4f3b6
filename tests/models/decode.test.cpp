// Spec §15 T5: one token at a time gives what all at once gives.
#include "blalm/models/decode.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "blalm/core/error.h"
#include "blalm/io/safetensors.h"
#include "tests/models/support.h"

namespace blalm {
namespace {

using namespace test;

constexpr std::int64_t kLength = 43, kBatch = 2;  // no multiple of the chunk

// Logits after position t of [B, T, V].
Tensor at_position(const Tensor& all, std::int64_t t) {
  Tensor one = Tensor::empty({all.dim(0), all.dim(2)}, all.dtype());
  for (std::int64_t b = 0; b < all.dim(0); ++b) one.rows(b, b + 1).copy_from(all.row(b).rows(t, t + 1));
  return one;
}

Tensor column(const Tensor& ids, std::int64_t t) { return columns(ids, t, t + 1).reshape({ids.dim(0)}); }

std::filesystem::path state_file() { return std::filesystem::path(BLALM_BUILD_DIR) / "decode-state.safetensors"; }

// Prefills in the given pieces and then steps, comparing with the parallel logits at each position that has some.
void check_decoding(LanguageModel& model, const std::vector<std::int64_t>& pieces, double tolerance,
                    bool through_file) {
  const Tensor ids = random_ids(kBatch, kLength, model.config().vocab_size), all = logits(model, ids);
  DecodeState state(model, kBatch);
  std::int64_t t = 0;
  for (const std::int64_t piece : pieces) {
    const Tensor z = prefill(model, columns(ids, t, t + piece), state);
    t += piece;
    CAPTURE(t);
    CHECK(distance(z, at_position(all, t - 1)) < tolerance);
  }
  if (through_file) {
    state.save(model, state_file());
    state = DecodeState::load(model, state_file());
  }
  for (; t < kLength; ++t) {
    CAPTURE(t);
    CHECK(distance(step(model, column(ids, t), state), at_position(all, t)) < tolerance);
  }
  CHECK(state.position() == kLength + model.config().meta_tokens());
}

}  // namespace

TEST_CASE("steps equal the parallel forward pass") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    LanguageModel model(small_config(preset));
    perturb(model);
    check_decoding(model, {}, 1e-4, false);
    check_decoding(model, {2}, 1e-4, false);
    check_decoding(model, {21}, 1e-4, true);
    check_decoding(model, {3, 4, 20, 2}, 1e-4, false);
  }
}

TEST_CASE("steps equal the parallel forward pass in f64, with meta tokens and with shared heads") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    ModelConfig config = small_config(preset);
    config.memory_kind = MemoryKind::meta;
    config.swa_memory = 3;
    config.num_key_value_heads = 1;
    config.logit_soft_cap = 30;
    LanguageModel model(config, {.dtype = DType::f64});
    perturb(model);
    check_decoding(model, {}, 1e-6, false);
    check_decoding(model, {20, 5}, 1e-6, true);
  }
}

TEST_CASE("steps equal the parallel forward pass in bf16") {
  for (const char* preset : {"transformer", "full"}) {
    CAPTURE(preset);
    LanguageModel model(small_config(preset));
    model.run.precision = Precision::bf16();
    perturb(model, 0.05);
    check_decoding(model, {20}, 3e-2, true);
  }
}

TEST_CASE("the size of the state does not depend on the position, the Transformer's excepted") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    LanguageModel model(small_config(preset));
    DecodeState state(model, 1);
    const std::int64_t at_start = state.bytes();
    for (int i = 0; i < 3; ++i) prefill(model, random_ids(1, 11, 41), state);
    for (int i = 0; i < 70; ++i) step(model, Tensor::from_ids({1}, std::vector<std::int32_t>{i % 41}), state);
    if (preset == "transformer")
      CHECK(state.bytes() > at_start);
    else
      CHECK(state.bytes() == at_start);
  }
}

TEST_CASE("a copy of a state goes its own way") {
  for (const char* preset : {"transformer", "full"}) {
    CAPTURE(preset);
    LanguageModel model(small_config(preset));
    perturb(model);
    const Tensor ids = random_ids(1, 30, 41), tokens = random_ids(1, 4, 41, 8);
    DecodeState one(model, 1);
    prefill(model, ids, one);
    const DecodeState kept = one;
    DecodeState two = kept;
    Tensor first, again;
    for (std::int64_t t = 0; t < 4; ++t) first = step(model, column(tokens, t), one);
    for (std::int64_t t = 0; t < 4; ++t) again = step(model, column(tokens, t), two);
    CHECK(same_bits(first, again));
    CHECK(kept.position() == 30);
  }
}

TEST_CASE("a batch decodes as its sequences do alone") {
  LanguageModel model(small_config("full"));
  perturb(model);
  const Tensor ids = random_ids(3, 25, 41);
  DecodeState all(model, 3);
  prefill(model, columns(ids, 0, 20), all);
  Tensor together;
  for (std::int64_t t = 20; t < 25; ++t) together = step(model, column(ids, t), all);
  for (std::int64_t b = 0; b < 3; ++b) {
    DecodeState one(model, 1);
    const Tensor z = prefill(model, ids.rows(b, b + 1), one);
    CHECK(distance(z, together.rows(b, b + 1)) < 1e-4);
  }
}

TEST_CASE("states of other models are refused") {
  LanguageModel model(small_config("full")), other(small_config("swa"));
  DecodeState state(model, 2);
  const Tensor ids = random_ids(2, 3, 41);
  CHECK_THROWS_AS(prefill(other, ids, state), ConfigError);
  CHECK_THROWS_AS(prefill(model, random_ids(1, 3, 41), state), ShapeError);
  CHECK_THROWS_AS(step(model, ids, state), ShapeError);
  CHECK_THROWS_AS(DecodeState(model, 0), ConfigError);
  prefill(model, ids, state);
  state.save(model, state_file());
  CHECK_THROWS_AS(DecodeState::load(other, state_file()), ConfigError);
  model.run.precision = Precision::bf16();
  CHECK_THROWS_AS(prefill(model, ids, state), ConfigError);
  CHECK_THROWS_AS(DecodeState::load(model, state_file()), ConfigError);
}

TEST_CASE("a damaged state file is refused with all that is wrong") {
  LanguageModel model(small_config("conv"));
  DecodeState state(model, 1);
  SafetensorsWriter writer;
  for (std::size_t i = 1; i < state.tensors().size(); ++i)
    writer.add(model.state_slots()[i].name, i == 2 ? Tensor::zeros({1, 2}) : state.tensors()[i]);
  writer.metadata("config", model.fingerprint());
  writer.metadata("position", "4");
  writer.write(state_file());
  std::string message;
  try {
    DecodeState::load(model, state_file());
  } catch (const ConfigError& e) {
    message = e.what();
  }
  CHECK(message.find(model.state_slots()[0].name + " is missing") != std::string::npos);
  CHECK(message.find(model.state_slots()[2].name + " is f32[1, 2]") != std::string::npos);
}

}  // namespace blalm
