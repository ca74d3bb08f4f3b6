// Spec §15 T3: what comes later changes nothing before it, to the last bit.
#include <doctest/doctest.h>

#include "tests/models/support.h"

namespace blalm {
namespace {

using namespace test;

void check_causal(const ModelConfig& config, const Precision& precision) {
  LanguageModel model(config);
  model.run.precision = precision;
  perturb(model);
  const std::int64_t length = 45, vocabulary = config.vocab_size, window = std::max<std::int64_t>(config.swa_window, 9);
  const Tensor ids = random_ids(2, length, vocabulary), before = logits(model, ids);
  for (const std::int64_t t : {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, std::int64_t{4}, window, window + 1,
                               config.chunk_size, config.chunk_size + 1, length - 1}) {
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

}  // namespace

TEST_CASE("a token changes no logits before it") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    check_causal(small_config(preset), Precision::f32());
  }
}

TEST_CASE("a token changes no logits before it, in bf16, with meta tokens and shared heads") {
  ModelConfig config = small_config("full");
  config.memory_kind = MemoryKind::meta;
  config.num_key_value_heads = 1;
  check_causal(config, Precision::bf16());
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
