// Files that are wrong, hostile or of a kind that we do not read: an error that names the field, and never a crash.
#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "engine/core/error.h"
#include "tests/data/tokenizer_support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

using nlohmann::json;
using testing::tiny_document;
using testing::tiny_tokenizer;
using testing::tokenizer_of;

std::string error_of_document(const std::string& text) {
  return testing::format_error_of([&] { Tokenizer::from_json(text, "t.json"); });
}

// Errors after one change of the tiny tokenizer: pointer to the field, its new value, what the error begins with.
struct Change {
  std::string pointer;
  json value;
  std::string message;
};

TEST_CASE("what is wrong is told by the name of its field") {
  const json sequence = {{"type", "Sequence"}};
  const std::vector<Change> changes = {
      {"/model/type", "Unigram", "[t.json: model.type] expected BPE, got Unigram"},
      {"/model", 5, "[t.json: model] expected an object, got 5"},
      {"/model/vocab", json::array(), "[t.json: model.vocab] expected an object, got an array of 0"},
      {"/model/vocab/a", "x", "[t.json: model.vocab.a] expected an integer"},
      {"/model/vocab/a", 4000000000, "[t.json: model.vocab.a] expected an integer from 0 to "},
      {"/model/vocab/a", -1, "[t.json: model.vocab.a] expected an integer from 0 to "},
      {"/model/vocab/a", 1e300, "[t.json: model.vocab.a] expected an integer"},
      {"/model/vocab/b", 3, "[t.json: model.vocab.b] expected an id of its own, got 3 ('!' has it)"},
      {"/model/merges/3", "abc", "[t.json: model.merges[3]] expected two tokens, got abc"},
      {"/model/merges/3", {"a"}, "[t.json: model.merges[3]] expected a pair, got an array of 1"},
      {"/model/merges/3", {"a", 1}, "[t.json: model.merges[3][1]] expected a string, got 1"},
      {"/model/merges/3", {"a", "zzz"}, "[t.json: model.merges[3]] expected tokens of the vocabulary"},
      {"/model/merges/3", {"q", "q"}, "[t.json: model.merges[3]] expected tokens of the vocabulary"},
      {"/model/merges", nullptr, "[t.json: model.merges] expected an array, got null"},
      {"/model/dropout", 0.1, "[t.json: model.dropout] expected null or 0, got 0.1"},
      {"/model/unk_token", "<unk>", "[t.json: model.unk_token] expected a token of the vocabulary, got <unk>"},
      {"/model/byte_fallback", true, "[t.json: model.byte_fallback] expected false, got true"},
      {"/model/end_of_word_suffix", "</w>", "[t.json: model.end_of_word_suffix] expected null, got </w>"},
      {"/added_tokens/0/id", 9, "[t.json: added_tokens[0].id] expected 0, its id in the vocabulary, got 9"},
      {"/added_tokens/0/content", "", "[t.json: added_tokens[0].content] expected a string that is not empty"},
      {"/added_tokens/0/content", "new", "[t.json: added_tokens[0].id] expected an id of its own"},
      {"/added_tokens/0/lstrip", "yes", "[t.json: added_tokens[0].lstrip] expected true or false, got yes"},
      {"/normalizer", {{"type", "Precompiled"}}, "[t.json: normalizer.type] expected NFC"},
      {"/normalizer", {{"type", "Replace"}, {"pattern", 1}}, "[t.json: normalizer.pattern] expected an object"},
      {"/normalizer", sequence, "[t.json: normalizer.normalizers] expected an array, got null"},
      {"/pre_tokenizer", nullptr, "[t.json: pre_tokenizer] expected ByteLevel or a Sequence with it, got null"},
      {"/pre_tokenizer/type", "Metaspace", "[t.json: pre_tokenizer.type] expected ByteLevel, Split"},
      {"/pre_tokenizer",
       {{"type", "Split"}, {"pattern", {{"Regex", "(a"}}}, {"behavior", "Isolated"}},
       "[t.json: pre_tokenizer.pattern.Regex] expected a regular expression, got '(a'"},
      {"/pre_tokenizer",
       {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Isolate"}},
       "[t.json: pre_tokenizer.behavior] expected Removed, Isolated"},
      {"/post_processor", {{"type", "Other"}}, "[t.json: post_processor.type] expected ByteLevel, TemplateProcessing"},
      {"/post_processor",
       {{"type", "BertProcessing"}, {"cls", {"a", 99999}}},
       "[t.json: post_processor.cls[1]] expected an integer from 0 to 599, got 99999"},
      {"/decoder", {{"type", "WordPiece"}}, "[t.json: decoder.type] expected ByteLevel first, got WordPiece"},
  };
  for (const Change& change : changes) {
    json document = tiny_document();
    document[json::json_pointer(change.pointer)] = change.value;
    const std::string error = error_of_document(document.dump());
    CHECK_MESSAGE(error.starts_with(change.message), error, " instead of ", change.message);
  }
}

TEST_CASE("what is not JSON, or JSON made to harm, is an error") {
  CHECK(error_of_document("").starts_with("[t.json] expected JSON"));
  CHECK(error_of_document("[]").starts_with("[t.json] expected an object, got an array of 0"));
  CHECK(error_of_document("{\"a\":\"\xFF\"}").starts_with("[t.json] expected JSON"));
  CHECK(error_of_document(std::string(1'000'000, '[')).starts_with("[t.json] expected JSON at most 64 levels deep"));
  CHECK(error_of_document("{\"a\": 1e9999}")
            .starts_with("[t.json] expected JSON, got an error at column 12: a number out of range, 1e9999"));
  json document = tiny_document();
  document["model"]["vocab"][std::string(5000, 'x') + "\n"] = -1;  // named in one short line
  CHECK(error_of_document(document.dump()).starts_with("[t.json: model.vocab." + std::string(60, 'x') + "...] expected an"));
  document["model"]["vocab"] = {{"a\nb", nullptr}};
  CHECK(error_of_document(document.dump()).starts_with("[t.json: model.vocab.a\\nb] expected an integer"));
  document = tiny_document();
  json nested = {{"type", "NFC"}};
  for (int i = 0; i < 100; ++i) nested = {{"type", "Sequence"}, {"normalizers", {nested}}};
  document["normalizer"] = nested;
  CHECK(error_of_document(document.dump()).starts_with("[t.json] expected JSON at most 64 levels deep"));
}

TEST_CASE("a pattern that backtracks without end is an error, not a hang") {
  json document = tiny_document();
  document["pre_tokenizer"] = {{"type", "Sequence"},
                               {"pretokenizers",
                                {{{"type", "Split"}, {"pattern", {{"Regex", "(a+)+b"}}}, {"behavior", "Isolated"}},
                                 {{"type", "ByteLevel"}, {"add_prefix_space", false}}}}};
  const Tokenizer tokenizer = tokenizer_of(document);
  CHECK(tokenizer.decode(tokenizer.encode("aaab aa")) == "aaab aa");
  CHECK_THROWS_AS(tokenizer.encode(std::string(64, 'a') + "cb"), FormatError);
}

TEST_CASE("any damage to a file is an error or another tokenizer") {
  const std::string good = tiny_tokenizer().to_json();
  std::mt19937_64 random(3);
  for (int round = 0; round < 150; ++round) {
    std::string bad = good;
    if (round % 3 == 0) {
      bad.resize(random() % bad.size());
    } else {
      for (int flips = 0; flips < 3; ++flips) bad[random() % bad.size()] ^= static_cast<char>(1 << random() % 8);
    }
    try {
      const Tokenizer tokenizer = Tokenizer::from_json(bad);
      tokenizer.decode(tokenizer.encode("The little princess, 12 <s>"));
    } catch (const FormatError&) {
    }
  }
}

TEST_CASE("a file is written and read back the same") {
  const auto folder = std::filesystem::path(testing::build_folder()) / "test-tokenizer-files";
  std::filesystem::create_directories(folder);
  const Tokenizer tokenizer = tiny_tokenizer();
  tokenizer.save(folder / "tokenizer.json");
  const Tokenizer again = Tokenizer::load(folder);
  CHECK(again.to_json() == tokenizer.to_json());
  CHECK(again.fingerprint() == tokenizer.fingerprint());
  CHECK(json::parse(again.to_json()) == tiny_document());
  CHECK_THROWS_AS(Tokenizer::load(folder / "absent.json"), DataError);
  CHECK_THROWS_AS(Tokenizer::load("/dev/null"), DataError);
}

TEST_CASE("a byte-order mark before any file of a tokenizer, and line ends of CR LF, are no part of it") {
  const auto folder = std::filesystem::path(testing::build_folder()) / "test-tokenizer-marks";
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream(folder / name, std::ios::binary) << text;
  };
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const Tokenizer tokenizer = tiny_tokenizer();
  tokenizer.save_gpt2(folder);
  const std::string plain = Tokenizer::load(folder).to_json(), mark = "\xEF\xBB\xBF";
  const std::string vocab = testing::read_file((folder / "vocab.json").string()),
                    merges = testing::read_file((folder / "merges.txt").string());
  write("vocab.json", mark + vocab);
  CHECK(Tokenizer::load(folder).to_json() == plain);
  write("merges.txt", mark + merges);
  CHECK(Tokenizer::load(folder).to_json() == plain);
  std::string other_ends;
  for (const char c : merges) other_ends += c == '\n' ? "\r\n" : std::string(1, c);
  write("merges.txt", mark + other_ends);
  CHECK(Tokenizer::load(folder).to_json() == plain);
  write("merges.txt", mark + merges.substr(merges.find('\n') + 1));  // without its line of the version
  CHECK(Tokenizer::load(folder).to_json() == plain);
  write("tokenizer.json", mark + tokenizer.to_json());
  CHECK(Tokenizer::load(folder).to_json() == tokenizer.to_json());
}

TEST_CASE("what is wrong in vocab.json or merges.txt is said of that file, with the line or the token") {
  const auto folder = std::filesystem::path(testing::build_folder()) / "test-gpt2-errors";
  const auto error = [&](const std::string& vocab, const char* merges) -> std::string {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "vocab.json", std::ios::binary) << vocab;
    if (merges != nullptr) std::ofstream(folder / "merges.txt", std::ios::binary) << merges;
    try {
      Tokenizer::load(folder);
    } catch (const Error& e) {
      std::string message = e.what();
      const std::string place = folder.string() + "/";
      for (std::size_t at; (at = message.find(place)) != std::string::npos;) message.erase(at, place.size());
      return message;
    }
    return "none";
  };
  const std::string vocab = R"({"a": 0, "b": 1, "c": 2, "ab": 3})";
  CHECK(error(vocab, "#version: 0.2\na b\n") == "none");
  CHECK(error(vocab, "#version: 0.2\na b\n\nab\n") == "[merges.txt, line 4] expected two tokens, got ab");
  CHECK(error(vocab,
              "\xEF\xBB\xBF"
              "a b c\n") == "[merges.txt, line 1] expected two tokens, got a b c");
  CHECK(error(vocab,
              "a b\r\n"
              "a x\r\n") == "[merges.txt, line 2] expected tokens of the vocabulary, got a x ('x' is not there)");
  CHECK(error(vocab, "b c\n") == "[merges.txt, line 1] expected tokens of the vocabulary, got b c ('bc' is not there)");
  CHECK(error(vocab,
              "\xFF\xFE"
              "a\n")
            .starts_with("[merges.txt, line 1] expected two tokens, got \\xff\\xfea"));
  CHECK(error(vocab, nullptr).find("merges.txt") != std::string::npos);
  CHECK(error(R"({"a": "x"})", "").starts_with("[vocab.json: a] expected an integer from 0"));
  CHECK(error(R"({"a": 0, "b": 0})", "") == "[vocab.json: b] expected an id of its own, got 0 ('a' has it)");
  CHECK(error("{", "").starts_with("[vocab.json] expected JSON"));
  CHECK(error("[]", "").starts_with("[vocab.json] expected an object"));
}

TEST_CASE("fields that we do not apply are kept, and gaps in the ids are allowed") {
  json document = tiny_document();
  document["truncation"] = {{"max_length", 3}, {"strategy", "LongestFirst"}};
  document["added_tokens"].push_back({{"id", 700}, {"content", "<late>"}, {"special", true}});
  const Tokenizer tokenizer = tokenizer_of(document);
  CHECK(json::parse(tokenizer.to_json())["truncation"] == document["truncation"]);
  CHECK(tokenizer.vocab_size() == 701);
  CHECK(tokenizer.encode("<late>") == std::vector<std::int32_t>{700});
  CHECK(tokenizer.token(650).empty());
  CHECK_FALSE(json::parse(tokenizer.to_json())["model"]["vocab"].contains("<late>"));
  CHECK(tokenizer.fingerprint() != tiny_tokenizer().fingerprint());
}

}  // namespace
}  // namespace blalm
