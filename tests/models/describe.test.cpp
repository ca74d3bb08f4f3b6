#include "blalm/models/describe.h"

#include <doctest/doctest.h>

#include "blalm/core/error.h"
#include "tests/models/support.h"

namespace blalm {
namespace {

using namespace test;

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

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

TEST_CASE("the operations that are promised are those on the tape") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    ModelConfig config = small_config(preset);
    config.tie_word_embeddings = false;
    LanguageModel model(config);
    const std::int64_t length = 64;
    Tape tape;
    model.logits(tape, random_ids(1, length, 41));
    double ran = 0, promised = 0;
    for (const Node& node : tape.nodes()) ran += node.flops;
    const std::function<void(const Module&)> add = [&](const Module& m) {
      promised += m.flops(length);
      for (const Module* child : m.children()) add(*child);
    };
    add(model);
    CHECK(promised * static_cast<double>(length) == doctest::Approx(ran).epsilon(0.05));
  }
}

}  // namespace blalm
