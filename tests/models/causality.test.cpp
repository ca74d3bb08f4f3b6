// Spec §15 T3: what comes later changes nothing before it, to the last bit.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/models/support.h"

namespace blalm {
namespace {

using namespace test;

// At the positions of T3, for a sequence of odd length that ends inside a chunk.
void check_causal(const ModelConfig& config, const Precision& precision) {
  LanguageModel model(config);
  model.run.precision = precision;
  perturb(model, 0.15 * std::sqrt(32 / static_cast<double>(config.hidden_size)));
  const std::int64_t chunk = config.chunk_size, length = 2 * chunk + 13, vocabulary = config.vocab_size;
  const std::int64_t window = config.swa_window > 0 ? config.swa_window : 9;
  const Tensor ids = random_ids(2, length, vocabulary), before = logits(model, ids);
  for (const std::int64_t t : {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, std::int64_t{4}, window, window + 1,
                               chunk, chunk + 1, length - 1}) {
    CAPTURE(t);
    Tensor changed = ids.clone();
    for (std::int64_t b = 0; b < 2; ++b) {
      std::int32_t& id = changed.row(b).mutable_data<std::int32_t>()[t];
      id = static_cast<std::int32_t>((id + 7) % vocabulary);
    }
    const Tensor after = logits(model, changed);
    for (std::int64_t b = 0; b < 2; ++b) {
      CHECK(same_bits(after.row(b).rows(0, t), before.row(b).rows(0, t)));
      CHECK_FALSE(same_bits(after.row(b).rows(t, t + 1), before.row(b).rows(t, t + 1)));
    }
  }
}

const std::pair<const char*, Precision> kPrecisions[] = {{"f32", Precision::f32()}, {"bf16", Precision::bf16()}};

}  // namespace

TEST_CASE("a token changes no logits before it") {
  for (const std::string& preset : preset_names())
    for (const auto& [name, precision] : kPrecisions) {
      const std::string shown = name;  // clang++ 14 captures no structured binding
      CAPTURE(preset);
      CAPTURE(shown);
      check_causal(small_config(preset), precision);
    }
}

TEST_CASE("a token changes no logits before it, in sizes that the fast kernels take") {
  for (const std::string& preset : preset_names())
    for (const auto& [name, precision] : kPrecisions) {
      const std::string shown = name;
      CAPTURE(preset);
      CAPTURE(shown);
      ModelConfig config = small_config("mlstm");
      apply_size(config, "nano");
      apply_preset(config, preset);
      config.num_hidden_layers = 1;
      config.chunk_size = 64;
      check_causal(config, precision);
    }
}

TEST_CASE("a token changes no logits before it, with meta tokens and shared heads") {
  for (const auto& [name, precision] : kPrecisions) {
    const std::string shown = name;
    CAPTURE(shown);
    ModelConfig config = small_config("full");
    config.memory_kind = MemoryKind::meta;
    config.num_key_value_heads = 1;
    check_causal(config, precision);
  }
}

TEST_CASE("every earlier token in reach changes later logits") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    LanguageModel model(small_config(preset));
    perturb(model);
    const Tensor ids = random_ids(1, 30, model.config().vocab_size);
    Tensor changed = ids.clone();
    std::int32_t& first = changed.mutable_data<std::int32_t>()[0];
    first = (first + 1) % 41;
    CHECK_FALSE(same_bits(logits(model, changed).row(0).rows(29, 30), logits(model, ids).row(0).rows(29, 30)));
  }
}

}  // namespace blalm
