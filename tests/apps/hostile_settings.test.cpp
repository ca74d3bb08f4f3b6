// Settings, paths and model files that a program must not trip over: what it writes it can read, what it reads has
// bounds, what it prints a terminal can show.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "engine/core/utf8.h"
#include "engine/io/safetensors.h"
#include "tests/apps/train_support.h"

namespace blalm {
namespace {

std::string repeated(std::string_view text, int n) {
  std::string all;
  for (int i = 0; i < n; ++i) all += text;
  return all;
}

// A line of error that a terminal can show; the exit code and words of it.
void check_refused(const std::string& arguments, int code, const std::string& words) {
  const Outcome o = run_blalm(arguments);
  INFO(arguments.substr(0, 200));
  CHECK_MESSAGE(o.exit_code == code, o.output.substr(0, 400));
  CHECK_MESSAGE(contains(error_of(o), words), error_of(o));
  CHECK(utf8::printable(error_of(o)) == error_of(o));
  CHECK(error_of(o).size() < 4000);
}

// For the shell; there is no apostrophe in them.
std::string quoted(const std::string& bytes) { return "'" + bytes + "'"; }

}  // namespace

TEST_CASE("a run with any bytes in its settings and paths can be resumed") {
  const Folder folder;
  const std::string odd = "run \x1b[31m \xff\"\r\xe2\x80\xae";
  const std::string run = " --run " + quoted((folder.path / odd).string());
  const std::string rest = train_arguments(folder, "x").substr(train_arguments(folder, "x").find(" --data.train"));
  const Outcome first = run_blalm(
      "train" + run + rest + " --optim.steps 3 --train.seed 18446744073709551615 --data.seed 9223372036854775808" +
      " --train.prompts " + quoted("a\x1b[31m\r\x7f\t") + " --data.json_field " + quoted("\xfe\\\"\n"));
  REQUIRE_MESSAGE(first.exit_code == 0, first.output);
  CHECK(utf8::printable_lines(first.output) == first.output);
  const std::string config = read_text(folder.path / odd / "config.toml");
  CHECK(contains(config, "seed = \"18446744073709551615\""));
  CHECK(utf8::printable_lines(config) == config);
  CHECK(nlohmann::json::accept(read_text(folder.path / odd / "run.json")));
  CHECK(nlohmann::json::accept(read_text(folder.path / odd / "data" / "data.json")));
  const Outcome again = run_blalm("train" + run + " --resume auto");
  CHECK_MESSAGE(again.exit_code == 0, again.output);
}

TEST_CASE("settings that overflow, spin or cannot be meant are refused before anything is made") {
  const Folder folder;
  write(folder.path / "deep.toml", repeated("a.", 30000) + "a = 1");
  check_refused("train " + folder / "deep.toml" + " --run " + folder / "r", 2, "a key of at most 32 parts");
  for (const auto& [more, words] : std::vector<std::pair<std::string, std::string>>{
           {"--overfit 1000000000", "[train.overfit] expected at most"},
           {"--overfit 1000000000000", "[train.overfit] expected"},
           {"--optim.steps 2305843009213693953", "[optim.steps] expected"},
           {"--optim.steps 1000000000000 --train.batch 1000000 --train.micro_batch 1", "[epochs] expected"},
           {"--train.epochs 9223372036854775807 --optim.steps 0", "[train.epochs] expected"},
           {"--optim.min_lr 0.1", "did you mean 10%?"},
           {"--optim.warmup 0.05", "did you mean 5%?"},
           {"--train.valid_every 0.25", "did you mean 25%?"},
           {"--model.hidden_size 16777216 --model.intermediate_size 64 --model.num_hidden_layers 1000",
            "[config] expected a model of at most 1e+17 numbers"},
           {"--model.hidden_size 1048576 --model.intermediate_size 1048576", "[memory] expected a run within"},
           {"--data.seq 1048576 --train.batch 1000000 --train.micro_batch 1000000", "[memory] expected a run within"}})
    check_refused(train_arguments(folder, "r", more), 2, words);
  CHECK_FALSE(fs::exists(folder.path / "r"));
}

TEST_CASE("model files made to harm are refused in one line") {
  const Folder folder;
  const fs::path model = folder.path / "model";
  testing::save_small_model(model);
  const std::string config = read_text(model / "config.json");
  const std::string generate = "generate --model " + folder / "model" + " --prompt x --max-tokens 2";
  REQUIRE(run_blalm(generate).exit_code == 0);
  const auto with = [&](const std::string& value) {
    std::string text = config;
    const std::string field = "\"hidden_size\": 32";
    return text.replace(text.find(field), field.size(), value);
  };
  std::string many = "{";
  for (int i = 0; i < 200'000; ++i) many += fmt::format("\"k{}\":1,", i);
  std::string unknown = "{";
  for (int i = 0; i < 5000; ++i) unknown += fmt::format("\"k\\u001b{}\":1,", i);
  for (const auto& [text, words] : std::vector<std::pair<std::string, std::string>>{
           {with("\"hidden_size\": " + repeated("[", 200'000) + repeated("]", 200'000)), "at most 64 levels deep"},
           {with("\"hidden_size\": 32, \"hidden_size\": 32"), "'hidden_size' twice"},
           {with("\"hidden_size\": 16777216"), "does not fit together"},
           {with("\"hidden_size\": 1e400"), "a number out of range"},
           {many + config.substr(1), "at most"},
           {unknown + config.substr(1), "4900 more unknown keys"},
           {with("\"hidden_size\": \"\xff\""), "is not UTF-8"},
           {with("\"hidden_size\": \"\\u001b[31m\""), "not a number"},
           {"", "it ends too early"}}) {
    write(model / "config.json", text);
    const Outcome o = run_blalm(generate);
    const std::string expected = words;
    CHECK_MESSAGE(o.exit_code == 3, expected, ": ", o.output.substr(0, 300));
    CHECK_MESSAGE(contains(error_of(o), expected), expected, ": ", error_of(o).substr(0, 300));
    CHECK(utf8::printable(error_of(o)) == error_of(o));
  }
  write(model / "config.json", config);
  const std::string tokenizer = read_text(model / "tokenizer.json");
  const std::size_t at = tokenizer.find("\"model\":");
  write(model / "tokenizer.json", tokenizer.substr(0, at) + "\"model\": 1, " + tokenizer.substr(at));
  check_refused(generate, 3, "'model' twice");
}

TEST_CASE("metadata of a file to check has bounds, and its names are shown as text") {
  const Folder folder;
  const std::string deep = "{\"theta\":" + repeated("[", 200'000) + repeated("]", 200'000) + "}";
  const auto file = [&](const char* key, const std::string& value, const std::string& tensor) {
    SafetensorsWriter writer;
    for (const std::string name : {"in/x", "out", "dout", "grad/x"}) writer.add(name, Tensor::zeros({1, 1, 1, 2}));
    if (!tensor.empty()) writer.add(tensor, Tensor::zeros({1}));
    writer.metadata(key, value);
    writer.write(folder.path / "op.safetensors");
  };
  for (const auto& [key, value, words] : std::vector<std::tuple<const char*, std::string, std::string>>{
           {"attrs", deep, "at most 64 levels deep"},
           {"config", deep, "at most 64 levels deep"},
           {"attrs", R"({"op": "rope", "op": "rope"})", "'op' twice"},
           {"attrs", "{", "it ends too early"}}) {
    file(key, value, "");
    const Outcome o = run_blalm("check " + folder / "op.safetensors");
    CHECK(o.exit_code == 3);
    CHECK_MESSAGE(contains(o.output, words), o.output.substr(0, 300));
  }
  file("attrs", R"({"op": "no\u001b[2J"})", "x\x1b]0;title\x07");
  const Outcome o = run_blalm("check " + folder / "op.safetensors");
  CHECK(utf8::printable_lines(o.output) == o.output);
  CHECK(o.exit_code == 3);
}

}  // namespace blalm
