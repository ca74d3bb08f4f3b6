#include "models/config.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "engine/core/error.h"
#include "models/config_json.h"
#include "tests/models/support.h"

namespace blalm {
namespace {

using test::contains;

// The message of the ConfigError that `set` leads to in a small config, or "".
template <class Set>
std::string complaint(const char* preset, Set&& set) {
  ModelConfig c = test::small_config(preset);
  set(c);
  try {
    c.validate();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

std::string json_complaint(std::string_view text) {
  try {
    config_from_json(text);
  } catch (const FormatError& e) {
    return e.what();
  }
  return "";
}

// The config.json of a small model with one key set to another value; of no value: without the key.
std::string json_with(std::string_view key, const std::optional<nlohmann::ordered_json>& value) {
  auto json = nlohmann::ordered_json::parse(to_json(test::small_config("mlstm")));
  if (value)
    json[key] = *value;
  else
    json.erase(std::string(key));
  return json.dump();
}

}  // namespace

TEST_CASE("presets are the rows of the table") {
  CHECK(preset_names() == std::vector<std::string>{"transformer", "mlstm", "conv", "swa", "swa-memory", "swa-dynmod",
                                                   "swa-dynmod-bounded", "hedgehog", "hedgehog-swa", "full"});
  ModelConfig c;
  apply_preset(c, "full");
  CHECK(c.mixer == "mlstm");
  CHECK(c.conv_kernel == 4);
  CHECK(c.swa_window == 64);
  CHECK(c.swa_memory == 4);
  CHECK(c.swa_modulation == ops::Modulation::tanh);
  CHECK(c.feature_map == "hedgehog");
  c.chunk_size = 7;
  apply_preset(c, "swa-dynmod-bounded");  // resets what the row does not name, and nothing else
  CHECK(c.conv_kernel == 0);
  CHECK(c.swa_memory == 0);
  CHECK(c.swa_modulation == ops::Modulation::sigmoid);
  CHECK(c.feature_map == "none");
  CHECK(c.chunk_size == 7);
  apply_preset(c, "hedgehog-swa+c");
  CHECK(c.conv_kernel == 4);
  CHECK(c.feature_map == "hedgehog");
  apply_preset(c, "transformer");
  CHECK(c.mixer == "attention");
  CHECK_THROWS_WITH_AS(apply_preset(c, "swa-memry"),
                       "[preset] expected one of transformer, mlstm, conv, swa, swa-memory, swa-dynmod, "
                       "swa-dynmod-bounded, hedgehog, hedgehog-swa, full, got swa-memry (did you mean swa-memory?)",
                       ConfigError);
}

TEST_CASE("sizes") {
  ModelConfig c;
  CHECK(c.vocab_size == 16000);
  const std::int64_t expected[][4] = {{192, 4, 3, 512}, {256, 6, 4, 704}, {384, 6, 6, 1024}, {768, 12, 12, 2048}};
  for (std::size_t i = 0; i < 4; ++i) {
    apply_size(c, size_names()[i]);
    CHECK(c.hidden_size == expected[i][0]);
    CHECK(c.num_hidden_layers == expected[i][1]);
    CHECK(c.num_attention_heads == expected[i][2]);
    CHECK(c.intermediate_size == expected[i][3]);
    c.intermediate_size = 0;
    CHECK(c.resolved().intermediate_size == expected[i][3]);  // sizes follow the rule for 0
  }
  CHECK_THROWS_WITH_AS(apply_size(c, "huge"), "[size] expected one of nano, tiny, small, base, got huge", ConfigError);
  CHECK_THROWS_WITH_AS(apply_size(c, "tniy"),
                       "[size] expected one of nano, tiny, small, base, got tniy (did you mean tiny?)", ConfigError);
}

TEST_CASE("every preset passes validation in every size") {
  for (const std::string& preset : preset_names())
    for (const std::string& size : size_names()) {
      ModelConfig c;
      apply_size(c, size);
      apply_preset(c, preset);
      CHECK_NOTHROW(c.validate());
    }
}

TEST_CASE("contradictions are named") {
  CHECK(complaint("mlstm", [](ModelConfig& c) { c.num_attention_heads = 3; }) ==
        "[config] expected num_attention_heads that divides hidden_size, got 3 for 32");
  CHECK(contains(complaint("mlstm", [](ModelConfig& c) { c.num_key_value_heads = 3; }),
                 "num_key_value_heads that divides"));
  for (const char* rotating : {"swa", "transformer"})
    CHECK(contains(complaint(rotating, [](ModelConfig& c) { c.num_attention_heads = 32; }), "even head dimension"));
  CHECK(complaint("mlstm", [](ModelConfig& c) { c.num_attention_heads = 32; }) == "");  // rotates nothing
  CHECK(contains(complaint("mlstm", [](ModelConfig& c) { c.swa_memory = 4; }), "swa_window above 0 with swa_memory"));
  CHECK(complaint("mlstm", [](ModelConfig& c) {
          c.swa_memory = 4;
          c.memory_kind = MemoryKind::meta;
        }) == "");
  CHECK(contains(complaint("mlstm", [](ModelConfig& c) { c.swa_modulation = ops::Modulation::tanh; }),
                 "swa_window above 0 with swa_modulation"));
  CHECK(contains(complaint("transformer", [](ModelConfig& c) { c.conv_kernel = 4; }), "belongs to the mLSTM mixer"));
  CHECK(contains(complaint("transformer", [](ModelConfig& c) { c.swa_window = 8; }), "belongs to the mLSTM mixer"));
  CHECK(contains(complaint("transformer", [](ModelConfig& c) { c.feature_map = "hedgehog"; }),
                 "belongs to the mLSTM mixer"));
  CHECK(contains(complaint("mlstm", [](ModelConfig& c) { c.mixer = "lstm"; }), "one of attention, mlstm"));
  CHECK(contains(complaint("mlstm",
                           [](ModelConfig& c) {
                             c.weight_init = WeightInit::xlstm;
                             c.residual_init_scale = true;
                           }),
                 "residual_init_scale"));
  ModelConfig wrong = test::small_config("swa");
  wrong.num_attention_heads = 5;
  CHECK_THROWS_AS(LanguageModel{wrong}, ConfigError);
}

TEST_CASE("config.json round trip") {
  for (const std::string& preset : preset_names()) {
    const ModelConfig c = test::small_config(preset).resolved();
    CHECK(to_json(config_from_json(to_json(c))) == to_json(c));
  }
  // As the definition in PyTorch writes it: without the keys of what it does not know.
  const ModelConfig c = config_from_json(R"({"vocab_size": 97, "hidden_size": 192, "num_hidden_layers": 2,
      "num_attention_heads": 2, "intermediate_size": 64, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
      "tie_word_embeddings": false, "mixer": "mlstm", "conv_kernel": 0, "swa_window": 24, "swa_memory": 0,
      "swa_modulation": "sigmoid", "feature_map": "none", "gate_soft_cap": 15.0, "mlstm_eps": 1e-06,
      "chunk_size": 64})");
  CHECK(c.hidden_size == 192);
  CHECK(c.rms_norm_eps == 1e-5);
  CHECK_FALSE(c.tie_word_embeddings);
  CHECK(c.swa_modulation == ops::Modulation::sigmoid);
  CHECK(c.hedgehog_map == ops::FeatureMap::fla);
}

TEST_CASE("config.json: one error for everything wrong") {
  const std::string all = json_complaint(R"({"model_type": "llama", "hiden_size": 192, "rope_theta": "big",
      "tie_word_embeddings": 1, "conv_kernel": -1, "mixer": "rnn"})");
  CHECK(contains(all, "[config.json] model_type is \"llama\", not \"blalm\""));
  CHECK(contains(all, "unknown key hiden_size (did you mean hidden_size?)"));
  CHECK(contains(all, "rope_theta is \"big\", not a number"));
  CHECK(contains(all, "tie_word_embeddings is 1, not true or false"));
  CHECK(contains(all, "[model.conv_kernel] expected a number of at least 0"));
  CHECK(contains(all, "[model.mixer] expected one of attention, mlstm"));
  for (const char* missing : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "swa_window"})
    CHECK(contains(all, fmt::format("key {} is missing", missing)));
  CHECK_FALSE(contains(all, "key mixer is missing"));
  CHECK(contains(json_complaint(json_with("hidden_size", 99)), "divides hidden_size"));
  CHECK(contains(json_complaint(json_with("hidden_size", 19.5)), "a whole number"));
  CHECK(contains(json_complaint(json_with("hidden_size", 1e300)), "hidden_size"));
  for (const char* broken : {"", "[]", "{", "\"x\"", "{\"hidden_size\": }"})
    CHECK(contains(json_complaint(broken), "[config.json] expected"));
  CHECK(contains(json_complaint("[]"), "[config.json] expected a JSON object, got []"));
  CHECK(contains(json_complaint("{\n  \"hidden_size\": }"),
                 "[config.json] expected JSON, got an error at line 2, column 18"));
}

TEST_CASE("config.json says every key of the definition; alternatives that it does not know may be left out") {
  constexpr std::string_view kAlternatives[] = {
      "num_key_value_heads", "logit_soft_cap", "weight_init", "residual_init_scale", "memory_kind", "modulation_scope",
      "swa_after_conv",      "hedgehog_map",   "gate_init",   "mlstm_norm",          "model_type"};
  const auto json = nlohmann::ordered_json::parse(to_json(test::small_config("mlstm")));
  CHECK(json.size() == 17 + std::size(kAlternatives));
  for (const auto& [key, value] : json.items()) {
    const std::string name = key;  // clang++ 14 captures no structured binding
    CAPTURE(name);
    const bool optional = std::ranges::find(kAlternatives, name) != std::end(kAlternatives);
    CHECK(json_complaint(json_with(name, {})) == (optional ? "" : "[config.json] key " + name + " is missing"));
  }
}

}  // namespace blalm
