// blalm inspect model (cli.test.cpp has kernels).
#include <doctest/doctest.h>

#include "engine/io/atomic_file.h"
#include "tests/apps/support.h"

namespace blalm {

using testing::contains;
using testing::Folder;
using testing::Outcome;
using testing::run_blalm;

TEST_CASE("inspect model prints the tree of every preset and size") {
  for (const std::string& preset : preset_names()) {
    const Outcome o = run_blalm("inspect model --preset " + preset + " --size tiny --vocab-size 1000");
    CHECK_MESSAGE(o.exit_code == 0, o.output);
    CHECK(contains(o, "[1000, 256]"));
    CHECK(contains(o, "5 more like it"));
  }
  for (const std::string& size : size_names()) CHECK(run_blalm("inspect model --size " + size).exit_code == 0);
}

TEST_CASE("inspect model takes settings, and its counts follow them") {
  const std::string usual = "inspect model --preset full --size nano";
  const Outcome o =
      run_blalm(usual + " --model.tie_word_embeddings false --model.num_hidden_layers=7 --vocab-size 500 --all-layers");
  CHECK(o.exit_code == 0);
  CHECK(contains(o, "layers.6"));
  CHECK_FALSE(contains(o, "more like it"));
  CHECK(contains(o, "[500, 192]"));
  CHECK(contains(run_blalm(usual), "3 more like it"));
  CHECK(contains(run_blalm(usual + " --seq 2000"), "sequences of 2000"));
  CHECK(run_blalm(usual + " --seq 2000 --model.conv_kernel 9").output != run_blalm(usual + " --seq 2000").output);
}

TEST_CASE("every alternative of a model is a flag") {
  ModelConfig config;
  const Fields fields = config.fields();
  for (const Field& field : fields.list())
    for (const std::string& choice : field.choices) {
      if (field.key == "mixer") continue;  // attention has no use for other settings
      const Outcome o = run_blalm("inspect model --preset full --model." + field.key + " " + choice);
      CHECK_MESSAGE(o.exit_code == 0, o.output);
    }
  for (const auto& [flags, shown] : {std::pair<std::string, std::string>{"mixer attention", "self_attn"},
                                     {"memory_kind meta --model.swa_memory 5", "[5, 192]        embedding"},
                                     {"num_key_value_heads 1", "[64, 192]"},
                                     {"tie_word_embeddings false", "[16000, 192]    embedding"},
                                     {"feature_map hedgehog", "q_hedgehog"},
                                     {"feature_map hedgehog --model.hedgehog_map lol", "[3, 64, 64]"},
                                     {"conv_kernel 7", "[192, 7]"},
                                     {"swa_window 8 --model.swa_modulation clamp", "swa_alpha"},
                                     {"swa_window 8 --model.swa_modulation raw --model.modulation_scope head",
                                      "swa_alpha                       [3]"},
                                     {"swa_window 8 --model.swa_modulation raw --model.modulation_scope channel",
                                      "swa_alpha                       [192]"}}) {
    const Outcome o = run_blalm("inspect model --model." + flags);
    const std::string expected = shown;  // clang++ 14 captures no structured binding
    CAPTURE(expected);
    CHECK_MESSAGE(contains(o, expected), o.output);
  }
  // Without a norm its module gates, and has no parameters.
  CHECK(contains(run_blalm("inspect model --model.mlstm_norm none"),
                 "head_norm                                                               0           0          960"));
}

TEST_CASE("inspect model takes no memory for weights") {
  const Outcome o =
      run_blalm("inspect model --model.hidden_size 1M --model.num_attention_heads 1k --model.num_hidden_layers 500");
  CHECK(o.exit_code == 0);
  CHECK_MESSAGE(contains(o, " T"), o.output);
}

TEST_CASE("inspect model describes a saved model, and the last checkpoint of a run") {
  const Folder folder;
  testing::save_small_model(folder.path / "run" / "last", "swa");
  const Outcome run = run_blalm("inspect model --model " + folder / "run"),
                model = run_blalm("inspect model --model " + folder / "run/last");
  CHECK(run.exit_code == 0);
  CHECK(contains(run, "[300, 32]"));
  CHECK(run.output == model.output);
  CHECK(run_blalm("inspect model --model " + folder / "run" + " --out " + folder / "tree.txt").output.empty());
  CHECK(testing::read_text(folder.path / "tree.txt") == run.output);
}

TEST_CASE("a saved model with a bad config.json is a fault of the file") {
  const Folder folder;
  testing::save_small_model(folder.path / "model", "swa");
  const std::string config = (folder.path / "model" / "config.json").string();
  std::string json = testing::read_text(config);
  json.replace(json.find("\"hidden_size\""), 13, "\"hiden_size\"");
  write_file_atomically(config, json);
  const Outcome o = run_blalm("inspect model --model " + folder / "model");
  CHECK(o.exit_code == 3);
  CHECK(contains(o, "[" + config + "] unknown key hiden_size (did you mean hidden_size?); key hidden_size is missing"));
}

TEST_CASE("the help of inspect model shows the defaults of the size and preset that it takes") {
  const Outcome help = run_blalm("inspect model --help");
  CHECK(help.exit_code == 0);
  CHECK(contains(help, "defaults are those of --preset mlstm --size nano"));
  const std::size_t line = help.output.find("model.hidden_size");
  REQUIRE(line != std::string::npos);
  CHECK(help.output.substr(line, help.output.find("\n  --model", line) - line).find("192") != std::string::npos);
  CHECK(run_blalm("inspect model --model.hidden_size 192").output == run_blalm("inspect model").output);
}

TEST_CASE("inspect model says what is wrong") {
  const Folder folder;
  for (const auto& [arguments, code, words] :
       {std::tuple<std::string, int, std::string>{"--preset swa-dynmode", 2, "did you mean swa-dynmod?"},
        {"--size huge", 2, "nano, tiny, small, base"},
        {"--vocab-size 0", 2, "[vocab-size]"},
        {"--seq x", 2, "whole number"},
        {"--model.hiden_size 3", 2, "did you mean model.hidden_size?"},
        {"--optim.lr 3", 2, "a known key, got optim.lr"},
        {"--model.swa_memory 3", 2, "swa_window"},
        {"--model", 2, "model"},
        {"--model " + folder / "none", 3, "no such folder"},
        {"--model '" + folder.path.string() + "'", 3, "without config.json or last/"},
        {"--model x --preset swa", 2, "a saved model has its own"},
        {"--model x --model.swa_window 3", 2, "a saved model has its own"},
        {"swa", 2, "options only, got swa"}}) {
    const Outcome o = run_blalm("inspect model " + arguments);
    const std::string shown = arguments;  // clang++ 14 captures no structured binding
    CAPTURE(shown);
    CHECK_MESSAGE(o.exit_code == code, o.output);
    CHECK_MESSAGE(contains(o, words), o.output);
    CHECK(std::count(o.output.begin(), o.output.end(), '\n') == 1);
  }
}

}  // namespace blalm
