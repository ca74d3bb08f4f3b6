// blalm train on prepared data, or with a given tokenizer: what they settle needs no settings.
#include <string>

#include "tests/apps/train_support.h"

namespace blalm {
namespace {

// 300 tokens, and two settings that are not the default.
void prepare(const Folder& folder) {
  const Outcome o =
      run_blalm("tokenize --input " + testing::text_file(folder) + " --vocab-size 300 --data.valid_share 0.2" +
                " --data.separator bos-eos --out " + folder / "data");
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
}

std::string arguments(const Folder& folder, const std::string& run, const std::string& more) {
  return "train --run " + folder / run + " --data.train " + folder / "data" +
         " --size nano --data.seq 32 --model.hidden_size 32 --model.num_hidden_layers 2 --model.num_attention_heads 2 "
         "--model.intermediate_size 64 --train.batch 8 --train.micro_batch 4 --train.threads 1 --train.precision f32 "
         "--optim.steps 2 --train.valid_blocks 1 --train.sample_every 0 " +
         more;
}

}  // namespace

TEST_CASE("a setting that contradicts the prepared data is an error that names the folder's value") {
  const Folder folder;
  prepare(folder);
  const std::string data = (folder.path / "data").string();
  for (const auto& [flag, expected] : std::initializer_list<std::pair<std::string, std::string>>{
           {"--data.vocab_size 400", "[data.vocab_size] expected 300, as in the prepared data '" + data + "', got 400"},
           {"--data.separator none",
            "[data.separator] expected bos-eos, as in the prepared data '" + data + "', got none"},
           {"--data.valid_share 0.5",
            "[data.valid_share] expected 0.2, as in the prepared data '" + data + "', got 0.5"},
           {"--data.words 100", "[data.words] expected 0, as in"},
           {"--data.strip_lines true", "[data.strip_lines] expected false, as in"},
           {"--data.bos '<x>'", "[data.bos] expected <s>, as in"},
           {"--data.json_field body", "[data.json_field] expected text, as in"},
           {"--data.tokenizer " + data, "[data.tokenizer] expected none, for the prepared data '" + data + "'"},
           {"--data.valid " + testing::text_file(folder), "[data.valid] expected none, for the prepared data"}}) {
    const std::string message = expected;  // clang++ 14 captures no structured binding
    const Outcome o = run_blalm(arguments(folder, "wrong", flag));
    CHECK(o.exit_code == 2);
    CHECK_MESSAGE(contains(error_of(o), message), o.output);
    CHECK_FALSE(fs::exists(folder.path / "wrong"));
  }
  write(folder.path / "wrong.toml", "[data]\nvocab_size = 400\n");
  const Outcome o = run_blalm(arguments(folder, "wrong", folder / "wrong.toml"));
  CHECK(o.exit_code == 2);
  CHECK_MESSAGE(contains(error_of(o), "wrong.toml"), o.output);
  CHECK_MESSAGE(contains(error_of(o), "data.vocab_size"), o.output);
}

TEST_CASE("config.toml records what the prepared data was made with, and continues the run") {
  const Folder folder;
  prepare(folder);
  // What agrees may be said.
  const Outcome o = run_blalm(arguments(folder, "a", "--data.vocab_size 300 --data.valid_share 0.2"));
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  const std::string config = read_text(folder.path / "a" / "config.toml");
  for (const char* line : {"\nvocab_size = 300 ", "\nvalid_share = 0.2 ", "\nseparator = \"bos-eos\" ", "\nwords = 0 "})
    CHECK_MESSAGE(contains(config, line), config);
  for (const char* key : {"\nvalid = ", "\ntokenizer = "}) CHECK_FALSE_MESSAGE(contains(config, key), config);
  const Outcome resumed = run_blalm("train --resume auto --run " + folder / "a");
  CHECK_MESSAGE((resumed.exit_code == 0 && contains(resumed, "resumed    at step 2 of 2")), resumed.output);

  // What the folder does not tell, as one that an older program made, is not claimed.
  const fs::path json = folder.path / "data" / "data.json";
  nlohmann::json older = nlohmann::json::parse(read_text(json));
  older.erase("settings");
  write(json, older.dump());
  REQUIRE(run_blalm(arguments(folder, "b", "")).exit_code == 0);
  const std::string unknown = read_text(folder.path / "b" / "config.toml");
  for (const char* key : {"\nvalid_share = ", "\nwords = ", "\nstrip_lines = "})
    CHECK_FALSE_MESSAGE(contains(unknown, key), unknown);
  CHECK_MESSAGE(contains(unknown, "\nseparator = \"bos-eos\" "), unknown);
}

TEST_CASE("with a given tokenizer nothing is said of a vocabulary, and its size is the tokenizer's") {
  const Folder folder;
  prepare(folder);
  const std::string given = " --data.tokenizer " + folder / "data";
  const std::string small =
      " --model.hidden_size 32 --model.num_hidden_layers 1 --model.num_attention_heads 2 --train.threads 1 "
      "--train.precision f32 --train.valid_blocks 1 --dry-run 1";
  // On the text that comes along, whose settings name another size.
  const Outcome o = run_blalm("train" + given + small);
  CHECK_MESSAGE((o.exit_code == 0 && contains(o, "vocabulary 300\n") && contains(o, "f32 on 1 thread\n")), o.output);
  const Outcome shown = run_blalm("train --data.train " + testing::text_file(folder) + given + small +
                                  " --data.seq 32 --train.batch 8 --print-config");
  REQUIRE_MESSAGE(shown.exit_code == 0, shown.output);
  write(folder.path / "shown.toml", shown.output);
  const Outcome again = run_blalm("train " + folder / "shown.toml");
  CHECK_MESSAGE(again.exit_code == 0, again.output);
  const Outcome wrong = run_blalm("train" + given + small + " --data.vocab_size 400");
  CHECK(wrong.exit_code == 2);
  CHECK_MESSAGE(contains(error_of(wrong), "[data.vocab_size] expected 300, as in the tokenizer"), wrong.output);
}

}  // namespace blalm
