#include "models/describe.h"

#include <doctest/doctest.h>

#include <functional>

#include "engine/core/error.h"
#include "tests/models/support.h"

namespace blalm {
using namespace test;

TEST_CASE("a model is described as a tree, without its values") {
  ModelConfig config;
  apply_size(config, "base");
  apply_preset(config, "full");
  const std::string text = describe(LanguageModel(config, {.values = Values::none}));
  CHECK(contains(text, "  embed_tokens"));
  CHECK(contains(text, "[16000, 768]    embedding      12,288,000      49.2 M"));
  CHECK(contains(text, "      swa_alpha"));
  CHECK(contains(text, "[2048, 768]     matrix          1,572,864"));
  CHECK(contains(text, "11 more like it"));
  CHECK_FALSE(contains(text, "layers.7"));
  CHECK(contains(text, "lm_head (embed_tokens.weight)"));
  CHECK(contains(text, "total"));
  CHECK(contains(text, ", whatever its length"));
  CHECK(contains(describe(LanguageModel(config, {.values = Values::none}), {.all_layers = true}), "layers.11"));
}

TEST_CASE("features that are off are not listed") {
  const std::string text = describe(LanguageModel(small_config("mlstm")));
  for (const char* off : {"conv", "swa", "none", "meta"}) CHECK_FALSE(contains(text, off));
  CHECK(contains(describe(LanguageModel(small_config("transformer"))), " a position"));
  CHECK_THROWS_AS(describe(LanguageModel(small_config("mlstm")), {.length = 0}), ConfigError);
}

TEST_CASE("the pairs that attention visits are counted exactly") {
  for (const char* preset : {"transformer", "swa", "swa-memory", "full"})
    for (const std::int64_t length : {1, 5, 9, 10, 13, 64}) {  // around the window of 9 and the 4 of memory
      CAPTURE(preset);
      CAPTURE(length);
      ModelConfig config = small_config(preset);
      config.num_hidden_layers = 1;
      LanguageModel model(config);
      Tape tape;
      model.logits(tape, random_ids(1, length, 41));
      double ran = 0;
      for (const Node& node : tape.nodes())
        if (node.op == std::string_view("attention")) ran += node.flops;
      const std::int64_t window = config.swa_window, memory = config.swa_memory;
      std::int64_t pairs = 0;
      for (std::int64_t t = 0; t < length; ++t)
        for (std::int64_t s = 0; s <= t; ++s) pairs += window == 0 || t - s < window || s < memory ? 1 : 0;
      CHECK(ran == 4.0 * 32 * static_cast<double>(pairs));
    }
}

TEST_CASE("the operations that are promised are those on the tape") {
  const auto check = [](ModelConfig config) {
    config.tie_word_embeddings = false;
    LanguageModel model(config);
    for (const std::int64_t length : {5, 9, 10, 13, 37, 64}) {
      CAPTURE(length);
      Tape tape;
      model.logits(tape, random_ids(1, length, 41));
      double ran = 0, promised = 0;
      for (const Node& node : tape.nodes()) ran += node.flops;
      const std::function<void(const Module&)> add = [&](const Module& m) {
        promised += m.flops(length);
        for (const Module* child : m.children()) add(*child);
      };
      add(model);
      CHECK(promised * static_cast<double>(length) == doctest::Approx(ran).epsilon(1e-12));
    }
  };
  for (const std::string& preset : preset_names())
    for (const std::int64_t groups : {0, 1}) {
      CAPTURE(preset);
      CAPTURE(groups);
      ModelConfig config = small_config(preset);
      config.num_key_value_heads = groups;
      check(config);
    }
  ModelConfig config = small_config("swa");
  config.mlstm_norm = ops::HeadNormKind::rms;
  config.swa_modulation = ops::Modulation::convex;
  check(config);
  config.mlstm_norm = ops::HeadNormKind::none;
  check(config);
}

}  // namespace blalm
