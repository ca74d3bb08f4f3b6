// What is written is valid UTF-8, whatever cuts it.
#include "apps/common/generation/valid_text.h"

#include <doctest/doctest.h>

#include "apps/common/generation/generator.h"
#include "apps/common/generation/prompt.h"
#include "tests/apps/train_support.h"

namespace blalm {
namespace {

using testing::bytes_tokenizer;
using testing::small_model;

bool is_valid(std::string_view text) { return utf8::valid_prefix(text) == text.size(); }

GenerateOptions seeded_options(std::int64_t max_tokens, std::uint64_t seed = 0) {
  GenerateOptions o;
  o.max_tokens = max_tokens;
  o.seed = seed;
  o.sampler = {.temperature = 1, .top_k = 0, .top_p = 1};
  return o;
}

const std::vector<std::string> kPrompts = {"The cat", "\u00e9", "caf\xC3", "\xF0\x9F", "", "\xFF"};

}  // namespace

TEST_CASE("text in pieces of bytes comes out whole and valid, as early as it can") {
  const std::string text = "a\u00e9\u4f60\U0001F600.";
  for (std::size_t first = 0; first <= text.size(); ++first)
    for (std::size_t second = first; second <= text.size(); ++second) {
      ValidText valid;
      std::string out;
      for (const std::string& piece :
           {text.substr(0, first), text.substr(first, second - first), text.substr(second)}) {
        out += valid.push(piece);
        CHECK(is_valid(out));
      }
      CHECK(out == text);
      CHECK(valid.finish() == "");
    }
  ValidText valid;
  CHECK(valid.push("a\xC3") == "a");
  CHECK(valid.push("x") == "\uFFFDx");
  CHECK(valid.push("\x80") == "\uFFFD");
  CHECK(valid.push("\xE4\xBD") == "");
  CHECK(valid.finish() == "\uFFFD");
  CHECK(valid.finish() == "");
}

TEST_CASE("tokens that are bytes give valid UTF-8 at every limit, and less of it at a smaller one") {
  const Tokenizer tokenizer = bytes_tokenizer();
  const auto model = small_model("mlstm", tokenizer.vocab_size());
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    std::vector<std::string> shorter(kPrompts.size());
    for (std::int64_t limit = 1; limit <= 24; ++limit) {
      std::vector<std::string> streamed(kPrompts.size());
      const auto texts = generate(*model, tokenizer, kPrompts, seeded_options(limit, seed), [&](const TokenEvent& e) {
        CHECK(is_valid(e.text));
        streamed[e.prompt] += e.text;
        return true;
      });
      for (std::size_t i = 0; i < texts.size(); ++i) {
        CHECK(is_valid(shown_prompt(kPrompts[i]) + texts[i].text));
        CHECK(texts[i].text == streamed[i]);
        CHECK(texts[i].text.starts_with(shorter[i]));
        shorter[i] = texts[i].text;
      }
    }
  }
}

TEST_CASE("stop strings that cut characters, ends and interruptions leave valid UTF-8") {
  const Tokenizer tokenizer = bytes_tokenizer();
  const auto model = small_model("mlstm", tokenizer.vocab_size());
  int stopped = 0, ended = 0;
  for (int byte = 0x80; byte < 0x100; ++byte) {
    GenerateOptions options = seeded_options(80, static_cast<std::uint64_t>(byte));
    options.stop = {std::string(1, static_cast<char>(byte)), "\x80\xC3", "\xE4\xBD\xA0\xE4"};
    for (const GeneratedText& text : generate(*model, tokenizer, kPrompts, options)) {
      CHECK(is_valid(text.text));
      stopped += text.ending == Ending::stop_string ? 1 : 0;
      ended += text.ending == Ending::end_token ? 1 : 0;
    }
    int tokens = 0;
    const auto stop = [&](const TokenEvent&) { return ++tokens < byte % 16; };
    for (const GeneratedText& text : generate(*model, tokenizer, kPrompts, seeded_options(80), stop))
      CHECK(is_valid(text.text));
  }
  CHECK(stopped > 100);
  CHECK(ended > 10);
}

TEST_CASE("what generate prints and what samples.txt holds is valid UTF-8 where tokens are bytes") {
  const Folder folder;
  std::string text;
  for (int i = 0; i < 300; ++i) text += "\u00e9\u00e9 \u4f60\u4f60 \U0001F600\u00e9 \u00e9\u00e9\n";
  write(folder.path / "text.txt", text);
  bytes_tokenizer().save(folder.path / "bytes.json");
  const std::string run =
      "train --run " + folder / "run" + " --data.train " + folder / "text.txt" + " --data.tokenizer " +
      folder / "bytes.json" +
      " --data.seq 32 --model.hidden_size 32 --model.num_hidden_layers 1 --model.num_attention_heads 2 "
      "--model.intermediate_size 32 --train.batch 4 --train.threads 1 --optim.steps 20 --train.sample_every 1 "
      "--train.sample_tokens 7 --train.valid_every 0";
  const Outcome trained = run_blalm(run + " --train.prompts '\u00e9,\u4f60'");
  REQUIRE_MESSAGE(trained.exit_code == 0, trained.output);
  CHECK(is_valid(trained.output));
  const std::string samples = read_text(folder.path / "run" / "samples.txt");
  CHECK(samples.size() > 300);
  CHECK(is_valid(samples));
  for (int limit = 1; limit <= 9; ++limit) {
    const std::string tokens =
        " --threads 1 --prompt '\u00e9' --prompt '' --prompt '\u4f60' --max-tokens " + std::to_string(limit);
    for (const char* more : {"", " --no-stream", " --logprobs", " --stop \"$(printf '\\251')\""}) {
      const Outcome o = run_blalm("generate --model " + folder / "run" + tokens + more);
      CHECK(o.exit_code == 0);
      CHECK_MESSAGE(is_valid(o.output), limit << more);
    }
  }
}

}  // namespace blalm
