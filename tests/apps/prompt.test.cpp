// Prompts, as they are typed, read and shown.
#include "apps/common/generation/prompt.h"

#include <doctest/doctest.h>

#include "engine/core/error.h"
#include "tests/apps/train_support.h"

namespace blalm {

TEST_CASE("a prompt is read as training text is: no byte-order mark, no CR of a line end") {
  const struct {
    const char *typed, *text;
  } cases[] = {
      {"", ""},
      {"The cat", "The cat"},
      {"\xEF\xBB\xBFThe cat", "The cat"},
      {"The \xEF\xBB\xBF"
       "cat",
       "The \xEF\xBB\xBF"
       "cat"},  // a mark only at the beginning
      {"one\r\ntwo\r\n", "one\ntwo\n"},
      {"one\r\n\r\ntwo", "one\n\ntwo"},
      {"one\r", "one"},
      {"one\rtwo", "one\rtwo"},
      {"one\r\r\ntwo", "one\r\ntwo"},
      {"\xEF\xBB\xBF\r", ""},
  };
  for (const auto& c : cases) CHECK(prompt_text(c.typed) == c.text);
  CHECK(shown_prompt("\xEF\xBB\xBF"
                     "caf\xC3") == "caf");
  CHECK(shown_prompt("caf\xFF!") == "caf\uFFFD!");
}

TEST_CASE(
    "the same prompt gives the same text, typed, from a file or from standard input, with line ends of any kind") {
  const Folder folder;
  testing::save_small_model(folder.path / "model");
  const auto generate = [&](const std::string& arguments, const std::string& from = "</dev/null") {
    const Outcome o =
        run_blalm("generate --threads 1 --max-tokens 20 --ignore-end --model " + folder / "model" + " " + arguments,
                  "2>&1 " + from + " | sed '$d'");
    return o.output;
  };
  const std::string expected = generate("--prompt \"$(printf 'The cat\\nA dog')\"");
  REQUIRE(expected.starts_with("The cat\nA dog"));
  for (const char* written :
       {"The cat\\nA dog\\n", "The cat\\r\\nA dog\\r\\n", "\\357\\273\\277The cat\\nA dog",
        "\\357\\273\\277The cat\\r\\nA dog\\r\\n", "The cat\\r\\nA dog\\r", "The cat\\nA dog\\r"}) {
    CAPTURE(written);
    const std::string print = std::string("printf '") + written + "'", file = folder / "prompt.txt";
    REQUIRE(testing::run_shell(print + " > " + file).exit_code == 0);
    CHECK(generate("--prompt \"$(" + print + ")\"") == expected);
    CHECK(generate("--prompt -", "<" + file) == expected);
    CHECK(generate("--prompt-file " + file) == expected);
  }
  REQUIRE(testing::run_shell("printf 'The cat\\nA dog\\n' | gzip > " + folder / "prompt.gz").exit_code == 0);
  CHECK(generate("--prompt-file " + folder / "prompt.gz") == expected);
  // Prompts and files keep their order.
  const std::string both =
      generate("--prompt 'One man' --prompt-file " + folder / "prompt.txt" + " --prompt 'The bird'");
  CHECK(both.starts_with("[1/3]\nOne man"));
  CHECK(contains(both, "\n[2/3]\nThe cat\nA dog"));
  CHECK(contains(both, "\n[3/3]\nThe bird"));
}

TEST_CASE("a byte-order mark and CR LF in the settings of a run change nothing of it") {
  const Folder folder;
  write(folder.path / "c.toml", "\xEF\xBB\xBF[train]\r\nsample_tokens = 9\r\nprompts = [\"\\uFEFFThe cat\\r\"]\r\n");
  const Outcome o =
      run_blalm("train " + folder / "c.toml" + train_arguments(folder, "run", "--optim.steps 2").substr(5));
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  CHECK(contains(read_text(folder.path / "run" / "samples.txt"), "\n  The cat"));
  CHECK_FALSE(contains(read_text(folder.path / "run" / "samples.txt"), "\r"));
}

TEST_CASE("a prompt that has no end, or that cannot be read, is refused") {
  const Folder folder;
  testing::save_small_model(folder.path / "model");
  const Outcome o = run_blalm("generate --prompt - --model " + folder / "model", "2>&1 < /dev/zero");
  CHECK(o.exit_code == 3);
  CHECK_MESSAGE(contains(o, "[prompt] expected at most 268435456 bytes, got more from standard input"), o.output);
  const Outcome unread = run_blalm("generate --prompt - --model " + folder / "model", "2>&1 < /");
  CHECK(unread.exit_code == 3);
  CHECK_MESSAGE(contains(unread, "[prompt] expected to read standard input, got Is a directory"), unread.output);
}

}  // namespace blalm
