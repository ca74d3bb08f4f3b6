// blalm generate as a user runs it (generator.test.cpp has what it computes).
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "tests/apps/support.h"

namespace blalm {
namespace {

using testing::contains;
using testing::Folder;
using testing::Outcome;
using testing::run_blalm;

// One model for all tests here.
const std::string& model_folder() {
  static const Folder folder;
  static const std::string name = [] {
    testing::save_small_model(folder.path / "model");
    return "--threads 1 --model " + folder / "model";
  }();
  return name;
}

Outcome generate(const std::string& arguments) { return run_blalm("generate " + model_folder() + " " + arguments); }
// Standard output alone.
std::string text_of(const std::string& arguments) {
  return run_blalm("generate " + model_folder() + " " + arguments, testing::kStandardOutput).output;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

TEST_CASE("generate prints the prompt with what follows it, and the speed on standard error") {
  const Outcome o = generate("--prompt 'The cat' --max-tokens 12 --ignore-end");
  CHECK_MESSAGE(o.exit_code == 0, o.output);
  CHECK(o.output.starts_with("The cat"));
  // The prompt's tokens and time are not those of writing.
  const auto ids = 1 + static_cast<int>(testing::small_tokenizer().encode("The cat").size());  // after <s>
  CHECK(contains(o, "\nread " + std::to_string(ids) + " tokens in "));
  CHECK(contains(o, " tokens/s; wrote 12 tokens in "));
  CHECK(contains(o, " tokens/s\n"));
  const std::string text = text_of("--prompt 'The cat' --max-tokens 12 --ignore-end");
  CHECK_FALSE(contains(text, "tokens/s"));
  CHECK(text.size() > 8);
  CHECK(text.ends_with('\n'));
  CHECK(text_of("--prompt 'The cat' --max-tokens 12 --ignore-end") == text);
  CHECK(text_of("--prompt 'The cat' --max-tokens 12 --ignore-end --no-stream") == text);
  CHECK(text_of("--prompt 'The cat' --max-tokens 12 --ignore-end --threads 2") == text);
  CHECK(text_of("--prompt 'The cat' --max-tokens 12 --ignore-end --seed 5") != text);
  CHECK(text_of("--prompt 'The cat' --max-tokens 12 --ignore-end --temperature 0") != text);
}

TEST_CASE("generate keeps the prompts apart and in order, commas and all") {
  const std::string both = text_of("--prompt 'A dog, or two' --prompt 'The cat' --max-tokens 9 --ignore-end");
  CHECK(both.starts_with("[1/2]\nA dog, or two"));
  CHECK(contains(both, "\n\n[2/2]\nThe cat"));
  const std::string one = text_of("--prompt 'The cat' --max-tokens 9 --ignore-end");
  CHECK(both.ends_with("[2/2]\n" + one));
}

TEST_CASE("generate reads a prompt from standard input") {
  const Folder folder;
  std::ofstream(folder.path / "prompt.txt") << "The cat\n";
  const std::string options = "--max-tokens 9 --ignore-end";
  const std::string text =
      run_blalm("generate " + model_folder() + " --prompt - " + options, "2>/dev/null <" + folder / "prompt.txt")
          .output;
  CHECK(text == text_of("--prompt 'The cat' " + options));
  CHECK(generate("--prompt - --prompt -").exit_code == 2);
}

TEST_CASE("Ctrl-C in a long prompt stops before its end, and says what was done") {
  const Folder folder;
  {
    std::ofstream prompt(folder.path / "prompt.txt");
    for (int i = 0; i < 400'000; ++i) prompt << "The cat saw a ball. ";
  }
  Outcome o;
  for (const char* seconds : {"1", "2", "3", "4", "6", "8", "11", "16", "23", "32", "45", "64"}) {  // until the signal comes after the start, however slow that is
    o = run_blalm("generate " + model_folder() + " --prompt - --max-tokens 1000000",
                  "2>&1 >/dev/null <" + folder / "prompt.txt",
                  std::string("timeout --preserve-status -s INT ") + seconds + " ");
    if (!o.output.empty()) break;
  }
  CHECK(o.exit_code == 130);
  CHECK_MESSAGE(contains(o, "interrupted: read "), o.output);
  CHECK_MESSAGE(contains(o, "; wrote 0 tokens in "), o.output);
}

TEST_CASE("a full standard output ends the generation at once") {
  const Outcome o = run_blalm("generate " + model_folder() + " --prompt x --ignore-end --max-tokens 1000000000",
                              "2>&1 >/dev/full </dev/null", "timeout 20 ");
  CHECK(o.exit_code == 3);
  CHECK_MESSAGE(contains(o, "expected to write to standard output, got No space left on device"), o.output);
}

TEST_CASE("a reader that goes away ends the generation") {
  const Outcome o = run_blalm("generate " + model_folder() + " --prompt x --ignore-end --max-tokens 1000000000",
                              "2>&1 </dev/null | head -c 10", "timeout 20 ");
  CHECK(o.output.size() == 10);
}

TEST_CASE("generate --logprobs prints a line a token") {
  const std::string text = text_of("--prompt 'The cat' --max-tokens 15 --ignore-end --logprobs");
  const std::vector<std::string> lines = lines_of(text);
  const std::string invalid = text_of("--prompt \"$(printf 'a\\377\\001')\" --max-tokens 1 --logprobs");
  CHECK_MESSAGE(invalid.starts_with("\"a\\xff\\x01\"\n\""), invalid);
  REQUIRE(lines.size() == 16);
  CHECK(lines[0] == "\"The cat\"");
  for (std::size_t i = 1; i < lines.size(); ++i) {
    CHECK(lines[i].starts_with('"'));
    CHECK(std::stod(lines[i].substr(lines[i].rfind(' '))) <= 0);
  }
  // Where the model ends the text, the last line is that special token.
  for (int seed = 0; seed < 20; ++seed) {
    const std::vector<std::string> free =
        lines_of(text_of("--prompt 'The cat' --max-tokens 300 --logprobs --seed " + std::to_string(seed)));
    if (free.size() == 301) continue;
    CHECK_MESSAGE((free.back().starts_with("\"<s>\"") || free.back().starts_with("\"</s>\"")), free.back());
    return;
  }
  FAIL("no text ended");
}

TEST_CASE("generate stops at a stop string, which is left out") {
  const std::string text = text_of("--prompt 'The cat' --max-tokens 60 --ignore-end");
  const std::string stop = text.substr(20, 2);
  REQUIRE(stop.find_first_of("'\n") == std::string::npos);
  const std::size_t end = text.find(stop, 7);
  const std::string stopped =
      text_of("--prompt 'The cat' --max-tokens 60 --ignore-end --stop '" + stop + "' --stop 'never, ever'");
  CHECK(stopped == text.substr(0, end) + "\n");
}

TEST_CASE("generate takes the last checkpoint of a run, and bf16") {
  const Folder folder;
  testing::save_small_model(folder.path / "run" / "last", "full");
  const Outcome o = run_blalm("generate --model " + folder / "run" +
                              " --prompt 'The cat' --max-tokens 5 --precision bf16 --ignore-end");
  CHECK_MESSAGE(o.exit_code == 0, o.output);
  CHECK(contains(o, "wrote 5 tokens in"));
}

TEST_CASE("generate runs the kernels that are asked for; one that nothing runs is an error after the text") {
  const std::string same = "--prompt 'The cat' --max-tokens 9 --ignore-end --temperature 0 ";
  const std::string text = text_of(same);
  for (const std::string kernels :
       {"--backend cpu", "--composed", "--kernel matmul=reference --kernel embedding=reference"})
    CHECK(text_of(same + kernels) == text);
  for (const std::string more : {"--kernel rope=reference", "--composed --kernel rms_norm=reference"}) {
    const std::string forced = more.substr(more.rfind(' ') + 1);
    const Outcome o = run_blalm("generate " + model_folder() + " " + same + more);
    CHECK(o.exit_code == 2);
    CHECK(o.output.starts_with(text));
    CHECK_MESSAGE(o.output.ends_with("\nblalm: [kernel] expected work that runs " + forced +
                                     ", got none (--kernel had no effect)\n"),
                  o.output);
  }
}

TEST_CASE("generate says what is wrong") {
  const Folder folder;
  testing::save_small_model(folder.path / "no-tokenizer");
  std::filesystem::remove(folder.path / "no-tokenizer" / "tokenizer.json");
  testing::save_small_model(folder.path / "damaged");
  std::filesystem::resize_file(folder.path / "damaged" / "model.safetensors", 1000);
  testing::save_small_model(folder.path / "nan");
  {
    auto model = load_model(folder.path / "nan");
    model->find("model.norm.weight")->value.fill(NAN);
    save_model(*model, folder.path / "nan");
  }
  const std::string good = model_folder() + " --prompt x ";
  for (const auto& [arguments, code, words] :
       {std::tuple<std::string, int, std::string>{"", 2, "--model"},
        {"--prompt x", 2, "--model DIR"},
        {model_folder(), 2, "--prompt TEXT or --prompt-file FILE"},
        {model_folder() + " --prompt-file /nowhere", 3, "/nowhere"},
        {model_folder() + " --prompt-file " + folder / "nan", 3, "nan'"},
        {model_folder() + " --prompt-file " + folder / "nan/model.safetensors", 3, "got a NUL byte at offset"},
        {good + "--max-tokens 0", 2, "[max-tokens]"},
        {good + "--max-tokens -3", 2, "[max-tokens]"},
        {good + "--temperature -1", 2, "[temperature]"},
        {good + "--temperature hot", 2, "[temperature] expected a number, got hot"},
        {good + "--temperature nan", 2, "[temperature]"},
        {good + "--top-k -1", 2, "[top-k]"},
        {good + "--top-k 1.5", 2, "[top-k]"},
        {good + "--top-p 0", 2, "[top-p]"},
        {good + "--top-p 1.1", 2, "[top-p]"},
        {good + "--min-p 2", 2, "[min-p]"},
        {good + "--seed -1", 2, "[seed]"},
        {good + "--stop ''", 2, "--stop"},
        {good + "--precision f16", 2, "[precision] expected one of auto, f32, bf16, got f16"},
        {good + "--threads -1", 2, "[threads]"},
        {good + "--backend gpu", 2, "[backend] expected auto, cpu or onednn, got gpu"},
        {good + "--kernel matmull=eigen", 2, "did you mean matmul?"},
        {good + "--backend cpu --kernel matmul=onednn:f32", 2, "an implementation that the backend allows"},
        {good + "--max-tokens 2 --kernel mlstm=amx:chunkwise", 2,
         "blalm: [mlstm] implementation amx:chunkwise was asked for but declines: "},
        {good + "--temprature 1", 2, "did you mean --temperature?"},
        {good + "y", 2, "options only, got y"},
        {"--model /nowhere --prompt x", 3, "/nowhere"},
        {"--model " + folder / "no-tokenizer" + " --prompt x", 3, "tokenizer.json"},
        {"--model " + folder / "damaged" + " --prompt x", 3, "model.safetensors"},
        {"--model " + folder / "nan" + " --prompt x", 4, "finite logits"}}) {
    const Outcome o = run_blalm("generate " + arguments, testing::kStandardError);
    const std::string shown = arguments;  // clang++ 14 captures no structured binding
    CAPTURE(shown);
    CHECK_MESSAGE(o.exit_code == code, o.output);
    CHECK_MESSAGE(contains(o, words), o.output);
    CHECK_MESSAGE(std::count(o.output.begin(), o.output.end(), '\n') == 1, o.output);
  }
}

}  // namespace blalm
