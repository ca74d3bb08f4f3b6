#include "models/model_folder.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <tuple>

#include "engine/core/error.h"
#include "engine/io/atomic_file.h"
#include "engine/io/safetensors.h"
#include "models/config_json.h"
#include "tests/models/support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

using namespace test;
namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::path(testing::build_folder()) / "model-folder-test" / "inner";
  Folder() { fs::remove_all(path.parent_path()); }
  ~Folder() { fs::remove_all(path.parent_path()); }
};

std::string load_complaint(const fs::path& folder) {
  try {
    load_model(folder);
  } catch (const FormatError& e) {
    return e.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a saved model comes back with the same bits") {
  for (const std::string& preset : preset_names()) {
    CAPTURE(preset);
    const Folder folder;
    LanguageModel model(small_config(preset), {.seed = 6});
    save_model(model, folder.path);
    const auto loaded = load_model(folder.path);
    CHECK(loaded->fingerprint() == model.fingerprint());
    const auto ours = model.parameters(), theirs = loaded->parameters();
    REQUIRE(ours.size() == theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      CHECK(ours[i]->name == theirs[i]->name);
      CHECK(ours[i]->role == theirs[i]->role);
      CHECK(same_bits(ours[i]->value, theirs[i]->value));
    }
    const Tensor ids = random_ids(1, 20, 41);
    CHECK(same_bits(logits(model, ids), logits(*loaded, ids)));
    CHECK(load_config(folder.path).hidden_size == 32);
  }
}

TEST_CASE("bf16 takes half the room and rounds; tied weights are stored once") {
  const Folder folder;
  ModelConfig config = small_config("full");
  config.vocab_size = 1000;
  LanguageModel model(config);
  save_model(model, folder.path, DType::f32);
  const auto whole = fs::file_size(folder.path / "model.safetensors");
  CHECK_FALSE(SafetensorsFile::open(folder.path / "model.safetensors").contains("lm_head.weight"));
  save_model(model, folder.path, DType::bf16);
  CHECK(fs::file_size(folder.path / "model.safetensors") < whole * 6 / 10);
  const auto loaded = load_model(folder.path, DType::f64);
  const Tensor& value = loaded->find("model.embed_tokens.weight")->value;
  CHECK(value.dtype() == DType::f64);
  const double error = relative_error(value, model.find("model.embed_tokens.weight")->value);
  CHECK((error > 0 && error < 4e-3));
  config.tie_word_embeddings = false;
  save_model(LanguageModel(config), folder.path);
  CHECK(SafetensorsFile::open(folder.path / "model.safetensors").contains("lm_head.weight"));
  CHECK(load_model(folder.path)->find("lm_head.weight") != nullptr);
}

TEST_CASE("one error for everything that does not fit") {
  const Folder folder;
  LanguageModel model(small_config("conv"));
  save_model(model, folder.path);
  SafetensorsWriter writer;
  for (const Parameter* p : model.parameters()) {
    if (p->name == "model.norm.weight") continue;
    if (p->name == "model.layers.0.mlp.up_proj.weight")
      writer.add(p->name, Tensor::zeros({3, 4}));
    else if (p->name == "model.layers.1.mlstm.head_norm.weight")
      writer.add(p->name, Tensor::zeros({32}, DType::i32));
    else
      writer.add(p->name, p->value);
  }
  writer.add("lm_head.weight", Tensor::zeros({41, 32}));
  writer.write(folder.path / "model.safetensors");
  std::string json = to_json(model.config());
  json.insert(json.find('{') + 1, "\"chunk_sice\": 3,");
  write_file_atomically(folder.path / "config.json", json);
  const std::string message = load_complaint(folder.path);
  CHECK(contains(message, "unknown key chunk_sice (did you mean chunk_size?)"));
  CHECK(contains(message, "tensor model.norm.weight is missing"));
  CHECK(contains(message, "tensor model.layers.0.mlp.up_proj.weight is [3, 4], not [48, 32]"));
  CHECK(contains(message, "tensor model.layers.1.mlstm.head_norm.weight holds I32"));
  CHECK(contains(message, "tensor lm_head.weight has no place in the model"));
  CHECK(message.find('\n') == std::string::npos);
}

TEST_CASE(
    "a config with wrong or missing values is complained about alone, not with every shape that follows from it") {
  const Folder folder;
  LanguageModel model(small_config("mlstm"));
  const fs::path path = folder.path / "config.json";
  for (const auto& [from, to, expected] : {
           std::tuple{"\"num_key_value_heads\": 2", "\"num_key_value_heads\": -1",
                      "[model.num_key_value_heads] expected a number of at least 0 and at most 16777216, got -1"},
           std::tuple{"\"hidden_size\": 32", "\"hiden_size\": 32",
                      "unknown key hiden_size (did you mean hidden_size?); key hidden_size is missing"},
           std::tuple{"\"conv_kernel\": 0,", "", "key conv_kernel is missing"},
           std::tuple{"\"hidden_size\": 32", "\"hidden_size\": 33",
                      "[config] expected num_attention_heads that divides hidden_size, got 2 for 33"},
           std::tuple{"\"blalm\"", "\"llama\"", "model_type is \"llama\", not \"blalm\""},
       }) {
    save_model(model, folder.path);
    std::string json = to_json(model.config());
    REQUIRE(contains(json, from));
    json.replace(json.find(from), std::string_view(from).size(), to);
    write_file_atomically(path, json);
    CHECK(load_complaint(folder.path) ==
          fmt::format("[model] {} does not fit together: {}", folder.path.string(), expected));
    CHECK_THROWS_WITH_AS(load_config(folder.path), fmt::format("[{}] {}", path.string(), expected).c_str(),
                         FormatError);
  }
}

TEST_CASE("how texts begin and end stays with the model, which is the same for that") {
  const Folder folder;
  LanguageModel model(small_config("mlstm"));
  save_model(model, folder.path);
  CHECK_FALSE(load_model(folder.path)->text_format.declared);  // nothing was said, as in older folders
  for (const TextFormat& format :
       {TextFormat{true, 1, {2}, 0}, TextFormat{true, 1, {}, {}}, TextFormat{true, {}, {40}, {}},
        TextFormat{true, {}, {2, 7}, 0}, TextFormat{true, {}, {}, {}}}) {
    model.text_format = format;
    save_model(model, folder.path);
    CHECK(load_model(folder.path)->text_format == format);
    CHECK(load_model(folder.path)->fingerprint() == model.fingerprint());
    CHECK_NOTHROW(load_config(folder.path));
  }
}

TEST_CASE("token ids of config.json as others write them; what is none is complained about") {
  const Folder folder;
  const LanguageModel model(small_config("mlstm"));
  save_model(model, folder.path);
  const auto with = [&](const std::string& keys) {
    std::string json = to_json(model.config());
    json.insert(json.find('{') + 1, keys + ",");
    write_file_atomically(folder.path / "config.json", json);
  };
  with(R"("eos_token_id": 3)");
  CHECK(load_model(folder.path)->text_format == TextFormat{true, {}, {3}, {}});
  with(R"("pad_token_id": 3)");
  CHECK(load_model(folder.path)->text_format == TextFormat{false, {}, {}, 3});
  for (const auto& [keys, expected] :
       {std::pair{R"("bos_token_id": -1)", "bos_token_id is -1, not null or an id below vocab_size = 41"},
        std::pair{R"("bos_token_id": 41)", "bos_token_id is 41, not null or an id below vocab_size = 41"},
        std::pair{R"("bos_token_id": [1])", "bos_token_id is [1], not null or an id below vocab_size = 41"},
        std::pair{R"("pad_token_id": 1.5)", "pad_token_id is 1.5, not null or an id below vocab_size = 41"},
        std::pair{R"("eos_token_id": [1, "a"])",
                  "eos_token_id is [1,\"a\"], not a list of ids, null or an id below vocab_size = 41"}}) {
    with(keys);
    CHECK(load_complaint(folder.path) ==
          fmt::format("[model] {} does not fit together: {}", folder.path.string(), expected));
  }
}

TEST_CASE("a byte-order mark before config.json is no part of it") {
  const Folder folder;
  const LanguageModel model(small_config("mlstm"));
  save_model(model, folder.path);
  write_file_atomically(folder.path / "config.json", "\xEF\xBB\xBF" + to_json(model.config()));
  CHECK_NOTHROW(load_model(folder.path));
  CHECK_NOTHROW(load_config(folder.path));
}

TEST_CASE("sizes that a config merely claims are not allocated") {
  const Folder folder;
  ModelConfig config = small_config("mlstm");
  save_model(LanguageModel(config), folder.path);
  config.hidden_size = config.vocab_size = 1048576;
  config.num_hidden_layers = 100;
  write_file_atomically(folder.path / "config.json", to_json(config));
  CHECK_MESSAGE(contains(load_complaint(folder.path), "and 998 more"), load_complaint(folder.path));
}

TEST_CASE("missing files are data errors") {
  const Folder folder;
  CHECK_THROWS_AS(load_model(folder.path), DataError);
  save_model(LanguageModel(small_config("mlstm")), folder.path);
  fs::remove(folder.path / "model.safetensors");
  CHECK_THROWS_AS(load_model(folder.path), DataError);
  CHECK_NOTHROW(load_config(folder.path));
  write_file_atomically(folder.path.parent_path() / "file", "x");
  CHECK_THROWS_AS(save_model(LanguageModel(small_config("mlstm")), folder.path.parent_path() / "file"), DataError);
}

}  // namespace blalm
