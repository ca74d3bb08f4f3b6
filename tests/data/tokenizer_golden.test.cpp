// Ids as a second implementation gives them, and (where they are at hand) as Hugging Face's library gave them.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "engine/core/error.h"
#include "tests/data/tokenizer_support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

using nlohmann::json;
using testing::kTokenizerFolder;
using testing::patched;
using testing::read_file;
using testing::tiny_document;
using testing::tokenizer_of;

using Ids = std::vector<std::int32_t>;

void check_case(const Tokenizer& tokenizer, const std::string& text, const Ids& ids) {
  CAPTURE(text);
  CHECK(tokenizer.encode(text) == ids);
  CHECK(tokenizer.encode(text) == ids);  // now from the cache
  CHECK(tokenizer.encode_with_ranges(text).ids == ids);
}

TEST_CASE("every variant gives the recorded ids, and so does its file written back") {
  const json golden = json::parse(read_file(kTokenizerFolder + "/cases.json"));
  const auto texts = golden["texts"].get<std::vector<std::string>>();
  for (const json& variant : golden["variants"]) {
    CAPTURE(variant["name"].get<std::string>());
    const Tokenizer tokenizer = tokenizer_of(patched(tiny_document(), variant["patch"]));
    const Tokenizer again = Tokenizer::from_json(tokenizer.to_json());
    CHECK(again.to_json() == tokenizer.to_json());
    REQUIRE(variant["ids"].size() == texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
      check_case(tokenizer, texts[i], variant["ids"][i]);
      check_case(again, texts[i], variant["ids"][i]);
      if (!variant.contains("ids_with_special")) continue;
      CHECK(tokenizer.encode(texts[i], {.add_special_tokens = true}) == variant["ids_with_special"][i].get<Ids>());
    }
  }
}

TEST_CASE("GPT-2's pair of files gives the same ids") {
  const Tokenizer tiny = testing::tiny_tokenizer();
  const auto folder = std::filesystem::path(testing::build_folder()) / "test-gpt2-files";
  std::filesystem::create_directories(folder);
  tiny.save_gpt2(folder);
  const Tokenizer pair = Tokenizer::load(folder);
  CHECK(Tokenizer::load(folder / "vocab.json").fingerprint() == pair.fingerprint());
  CHECK(pair.is_special(*pair.token_id("<s>")));
  const json golden = json::parse(read_file(kTokenizerFolder + "/cases.json"));
  for (const std::string text : golden["texts"]) CHECK(pair.encode(text) == tiny.encode(text));
}

// BLALM_TOKENIZERS names a folder of tokenizers with recorded ids: NAME/ (a tokenizer) and cases/NAME.jsonl.
TEST_CASE("recorded ids of real tokenizers" * doctest::skip(std::getenv("BLALM_TOKENIZERS") == nullptr)) {
  const std::filesystem::path folder = std::getenv("BLALM_TOKENIZERS");
  int compared = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder / "cases")) {
    CAPTURE(file.path().string());
    const Tokenizer tokenizer = Tokenizer::load(folder / file.path().stem());
    std::istringstream lines(read_file(file.path().string()));
    for (std::string line; std::getline(lines, line); ++compared) {
      const json recorded = json::parse(line);
      check_case(tokenizer, recorded["text"], recorded["ids"]);
      CHECK(tokenizer.encode(recorded["text"].get<std::string>(), {.add_special_tokens = true}) ==
            recorded["ids_with_special"].get<Ids>());
    }
  }
  CHECK(compared > 0);
}

// Beside them hf_golden/ has cases of tiny tokenizers, many with patterns of known model families.
TEST_CASE("recorded ids of patterns of model families" * doctest::skip(std::getenv("BLALM_TOKENIZERS") == nullptr)) {
  const std::filesystem::path folder = std::filesystem::path(std::getenv("BLALM_TOKENIZERS")) / "hf_golden";
  int compared = 0;
  std::vector<std::string> refused;  // of kinds that we do not read
  const json golden = json::parse(read_file((folder / "hf_tokenizer_cases.json").string()));
  for (const auto& item : golden.items()) {
    const std::string name = item.key();
    const json& entry = item.value();
    CAPTURE(name);
    const std::filesystem::path file = folder / entry["tokenizer"].get<std::string>();
    if (file.extension() != ".json") continue;  // a format of others
    const json document = json::parse(read_file(file.string()));
    if (document["model"]["type"] != "BPE" || document.dump().find("\"ByteLevel\"") == std::string::npos) {
      CHECK_THROWS_AS(Tokenizer::load(file), FormatError);
      refused.push_back(name);
      continue;
    }
    const Tokenizer tokenizer = Tokenizer::load(file);
    for (const json& recorded : entry["cases"]) {
      check_case(tokenizer, recorded["text"], recorded["ids"]);
      CHECK(tokenizer.decode(recorded["ids"].get<Ids>()) == recorded["decoded"].get<std::string>());
      ++compared;
    }
  }
  CHECK(compared > 150);
  CHECK(refused == std::vector<std::string>{"metaspace", "metaspace_pretok", "unigram", "wordpiece"});
}

}  // namespace
}  // namespace blalm
