// How texts begin and end is the model's: from the settings of training to its folders, and from there to what it
// writes.
#include <algorithm>

#include "apps/common/generation/text_rules.h"
#include "tests/apps/train_support.h"

namespace blalm {

using Ids = std::vector<std::int32_t>;

TEST_CASE("each model folder of a run says what stood around its texts, and generate begins with that") {
  const Folder folder;
  const Tokenizer tokenizer = testing::small_tokenizer({"<pad>", "<s>", "</s>", "<|endoftext|>"});
  tokenizer.save(folder.path / "given.json");
  const Ids words = tokenizer.encode("The cat"), line_end = tokenizer.encode("\n");
  const struct {
    const char* settings;
    TextFormat format;
    Ids empty;
  } cases[] = {
      {"--data.separator bos", {true, 1, {}, 0}, {1}},
      {"--data.separator bos-eos", {true, 1, {2}, 0}, {1}},
      {"--data.separator eos", {true, {}, {2}, 0}, {2}},
      {"--data.separator none", {true, {}, {}, 0}, line_end},
      {"--data.separator eos --data.eos '<|endoftext|>'", {true, {}, {3}, 0}, {3}},
      {"--data.bos '<|endoftext|>'", {true, 3, {}, 0}, {3}},
  };
  write(folder.path / "c.toml", "[train]\nprompts = [\"\", \"The cat\"]\n");
  int run = 0;
  for (const auto& c : cases) {
    CAPTURE(c.settings);
    const std::string name = "run" + std::to_string(run++);
    const std::string arguments =
        train_arguments(folder, name, "--optim.steps 4 --train.valid_every 2 --data.tokenizer ") +
        folder / "given.json" + " " + c.settings;
    std::string kept = arguments;
    kept.erase(kept.find("--data.vocab_size 300 "), std::string("--data.vocab_size 300 ").size());
    const Outcome o = run_blalm("train " + folder / "c.toml" + kept.substr(5));
    REQUIRE_MESSAGE(o.exit_code == 0, o.output);
    for (const char* checkpoint : {"last", "best"}) {
      const auto model = load_model(folder.path / name / checkpoint);
      CHECK(model->text_format == c.format);
      const auto names = nlohmann::json::parse(read_text(folder.path / name / checkpoint / "tokenizer_config.json"));
      const auto spelling = [&](const char* key) {
        return names.contains(key) ? tokenizer.token_id(names.at(key).get<std::string>()) : std::nullopt;
      };
      CHECK(spelling("bos_token") == c.format.bos);
      CHECK(spelling("eos_token") == (c.format.eos.empty() ? std::nullopt : std::optional(c.format.eos[0])));
      CHECK(spelling("pad_token") == c.format.pad);
      Ids expected = words;
      if (c.empty != line_end) expected.insert(expected.begin(), c.empty[0]);
      CHECK(TextRules(*model, tokenizer).prompt_ids("The cat") == expected);
      CHECK(TextRules(*model, tokenizer).prompt_ids("") == c.empty);
    }
    const Outcome wrote = run_blalm("generate --prompt '' --max-tokens 8 --threads 1 --model " + folder / name);
    CHECK_MESSAGE(wrote.exit_code == 0, wrote.output);
    CHECK(contains(read_text(folder.path / name / "samples.txt"), "step 4"));
  }
}

TEST_CASE("a run on prepared data takes its separators from there, and a resumed run keeps them") {
  const Folder folder;
  REQUIRE(run_blalm("tokenize --input " + testing::text_file(folder) +
                    " --vocab-size 300 --data.separator bos-eos --out " + folder / "data")
              .exit_code == 0);
  std::string arguments = train_arguments(folder, "run", "--optim.steps 6 --train.valid_every 3");
  arguments.replace(arguments.find(testing::text_file(folder)), testing::text_file(folder).size(), folder / "data");
  arguments.erase(arguments.find("--data.vocab_size 300 "), std::string("--data.vocab_size 300 ").size());
  const Outcome o = run_blalm(arguments);
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  const TextFormat format{true, 1, {2}, 0};
  CHECK(load_model(folder.path / "run" / "last")->text_format == format);
  REQUIRE(run_blalm("train --resume auto --run " + folder / "run").exit_code == 0);
  CHECK(load_model(folder.path / "run" / "last")->text_format == format);
}

}  // namespace blalm
