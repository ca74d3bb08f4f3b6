// Spec §15 T5: one token at a time gives what all at once gives.
#include "models/decode.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "engine/core/error.h"
#include "engine/core/pool.h"
#include "engine/io/safetensors.h"
#include "tests/models/support.h"
#include "tests/support/paths.h"
#include "tests/support/threads.h"

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

std::filesystem::path state_file() {
  return std::filesystem::path(testing::build_folder()) / "decode-state.safetensors";
}

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
    CHECK(relative_error(z, at_position(all, t - 1)) < tolerance);
  }
  if (through_file) {
    state.save(model, state_file());
    state = DecodeState::load(model, state_file());
  }
  for (; t < kLength; ++t) {
    CAPTURE(t);
    CHECK(relative_error(step(model, column(ids, t), state), at_position(all, t)) < tolerance);
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

TEST_CASE("the size of the state has a bound, the Transformer's excepted") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    LanguageModel model(small_config(preset));
    DecodeState state(model, 1);
    const std::int64_t at_start = state.bytes();
    for (int i = 0; i < 3; ++i) prefill(model, random_ids(1, 11, 41), state);
    const std::int64_t later = state.bytes();
    for (int i = 0; i < 70; ++i) step(model, Tensor::from_ids({1}, std::vector<std::int32_t>{i % 41}), state);
    CHECK((state.bytes() > later) == (preset == "transformer"));
    CHECK((later == at_start) == is_position_free(model.config()));
  }
}

TEST_CASE("the widest window takes no room until it is filled") {
  ModelConfig config = small_config("swa");
  config.swa_window = config.swa_memory = 1 << 24;
  LanguageModel wide(config);
  DecodeState state(wide, 2);
  const std::int64_t position_bytes = 2 * 2 * config.num_hidden_layers * config.hidden_size * 4;
  const std::int64_t at_start = state.bytes();
  prefill(wide, random_ids(2, 10, 41), state);
  CHECK(state.bytes() == at_start + 10 * position_bytes);
  step(wide, Tensor::from_ids({2}, std::vector<std::int32_t>{1, 2}), state);
  CHECK(state.bytes() == at_start + 20 * position_bytes);
}

TEST_CASE("the Transformer's cache grows by doubling, and no step copies what it holds") {
  const test::Threads two(2);  // each takes scratch memory
  LanguageModel model(small_config("transformer"));
  const std::int64_t position_bytes = 2 * model.config().num_hidden_layers * model.config().hidden_size * 4;
  constexpr std::int64_t kSlack = 256 << 10;  // scratch memory of kernels; a copy for 64 sequences takes more
  for (const std::int64_t batch : {1, 64}) {
    CAPTURE(batch);
    const Tensor ids = random_ids(batch, 200, 41);
    DecodeState state(model, batch);
    prefill(model, columns(ids, 0, 40), state);
    std::int64_t growths = 0, room = 0;
    for (std::int64_t t = 40; t < 200; ++t) {
      const std::int64_t before = state.bytes(), live = Pool::instance().stats().live_bytes;
      Pool::instance().reset_peak();
      step(model, column(ids, t), state);
      const std::int64_t taken = Pool::instance().stats().peak_live_bytes - live;
      if (state.bytes() != before) {
        ++growths;
        CHECK(state.bytes() == 2 * before);
      } else {
        if (room == 0) room = taken;
        CHECK(taken < room + kSlack);  // whatever the position
      }
    }
    CHECK(growths == 3);
    CHECK(state.bytes() == batch * 320 * position_bytes);
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
    CHECK(relative_error(z, together.rows(b, b + 1)) < 1e-4);
  }
}

TEST_CASE("sequences of several states go on together as they do alone, whatever room their states have") {
  for (const char* preset : {"transformer", "full", "mlstm"}) {
    CAPTURE(preset);
    LanguageModel model(small_config(preset));
    perturb(model);
    constexpr std::int64_t kRead = 5, kSteps = 4;
    const Tensor ids = random_ids(3, kRead + kSteps, 41);
    const auto of = [&](std::int64_t sequence) { return ids.rows(sequence, sequence + 1); };
    // The same position in one piece, in two, and as the second row of a batch token by token: 5, 6 and 8 rows.
    DecodeState one(model, 1), two(model, 1), batch(model, 2);
    prefill(model, columns(of(0), 0, kRead), one);
    prefill(model, columns(of(1), 0, 3), two);
    prefill(model, columns(of(1), 3, kRead), two);
    for (std::int64_t t = 0; t < kRead; ++t) step(model, column(ids.rows(1, 3), t), batch);
    if (std::string_view(preset) == "transformer") {
      CHECK(one.tensors()[0].dim(1) == 5);
      CHECK(two.tensors()[0].dim(1) == 6);
      CHECK(batch.tensors()[0].dim(1) == 8);
    }
    const std::vector<StateRow> rows = {{&one, 0}, {&two, 0}, {&batch, 1}};
    DecodeState all = DecodeState::gather(model, rows);
    CHECK(all.batch() == 3);
    CHECK(all.position() == one.position());
    const Tensor expected = logits(model, ids);
    for (std::int64_t t = kRead; t < kRead + kSteps; ++t)
      CHECK(relative_error(step(model, column(ids, t), all), at_position(expected, t)) < 1e-4);
    CHECK(one.position() == kRead + model.config().meta_tokens());  // those it came from stay as they are

    CHECK_THROWS_WITH_AS(DecodeState::gather(model, std::vector<StateRow>{{&one, 1}}),
                         "[decode] expected a row of a batch of 1, got 1", ShapeError);
    const std::vector<StateRow> apart = {{&one, 0}, {&all, 0}};
    if (is_position_free(model.config()))
      CHECK(DecodeState::gather(model, apart).batch() == 2);
    else
      CHECK_THROWS_WITH_AS(DecodeState::gather(model, apart), "[decode] expected states at position 5, got one at 9",
                           ShapeError);
    LanguageModel other(small_config("swa"));
    CHECK_THROWS_AS(DecodeState::gather(other, rows), ConfigError);
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
  const std::string where = "[" + state_file().string() + "] ";
  CHECK_THROWS_WITH_AS(DecodeState::load(other, state_file()),
                       (where + "expected a decoding state of this model's config, got one of another").c_str(),
                       ConfigError);
  model.run.precision = Precision::bf16();
  CHECK_THROWS_AS(prefill(model, ids, state), ConfigError);
  CHECK_THROWS_WITH_AS(DecodeState::load(model, state_file()),
                       (where + "expected a decoding state in f32 bf16, got one in f32 f32").c_str(), ConfigError);
}

TEST_CASE("a damaged state file is refused with all that is wrong") {
  LanguageModel model(small_config("conv"));
  const DecodeState state(model, 1);
  state.save(model, state_file());
  const SafetensorsMetadata whole = SafetensorsFile::open(state_file()).metadata();
  const auto complaint = [&](const SafetensorsMetadata& metadata, bool damaged) -> std::string {
    SafetensorsWriter writer;
    for (std::size_t i = damaged ? 1 : 0; i < state.tensors().size(); ++i)
      writer.add(model.state_slots()[i].name, damaged && i == 2 ? Tensor::zeros({1, 2}) : state.tensors()[i]);
    if (damaged) writer.add("model.layers.7.n", Tensor::zeros({1, 2}));
    for (const auto& [key, value] : metadata) writer.metadata(key, value);
    writer.write(state_file());
    try {
      DecodeState::load(model, state_file());
    } catch (const FormatError& e) {
      return e.what();
    }
    return "";
  };
  const std::string where = "[" + state_file().string() + "] ";
  const std::vector<StateSlot>& slots = model.state_slots();
  CHECK(complaint(whole, false) == "");
  CHECK(complaint(whole, true) == where + "tensor " + slots[0].name + " is missing; tensor " + slots[2].name +
                                      " is f32[1, 2], not f32" + state.tensors()[2].shape().str() +
                                      "; tensor model.layers.7.n has no place in the state");
  for (const char* key : {"config", "precision", "position"}) {
    SafetensorsMetadata without = whole;
    without.erase(key);
    CHECK(complaint(without, false) == where + "expected metadata '" + key + "', got none");
  }
  for (const char* bad : {"", "-1", "4x", "9223372036854775807", "99999999999999999999"}) {
    SafetensorsMetadata other = whole;
    other["position"] = bad;
    CHECK(complaint(other, false) == where + "expected a whole number as position, got '" + bad + "'");
  }
}

}  // namespace blalm
