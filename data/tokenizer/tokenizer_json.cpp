#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "data/text/character_class.h"
#include "data/tokenizer/byte_level.h"
#include "data/tokenizer/limits.h"
#include "data/tokenizer/tokenizer_parts.h"
#include "engine/io/json_field.h"
#include "engine/io/json_text.h"

namespace blalm {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string in_quotes(std::string_view spelling) { return fmt::format("'{}'", utf8::beginning(spelling, 60)); }

// Memory grows with the largest id: a file may leave gaps, but not claim what it does not hold.
std::int64_t largest_id(std::size_t tokens) { return static_cast<std::int64_t>(tokens) * 4 + 65536; }

Vocabulary read_vocabulary(const JsonField& field) {
  if (!field.is_object()) field.fail("an object");
  Vocabulary vocabulary;
  const std::int64_t most = largest_id(field.value().size());
  for (const auto& [spelling, value] : field.value().items()) {
    const JsonField entry = field[spelling];
    const auto id = static_cast<std::int32_t>(entry.integer(0, most));
    if (spelling.empty()) entry.fail("no empty token");
    if (vocabulary.contains(id)) entry.fail("an id of its own", in_quotes(vocabulary[id].spelling) + " has it");
    vocabulary.add(id, {spelling, byte_level::unspell(spelling).value_or(spelling), false, true});
  }
  return vocabulary;
}

std::vector<AddedToken> read_added_tokens(const JsonField& field, Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  if (field.is_null()) return tokens;
  const std::int64_t most = largest_id(static_cast<std::size_t>(vocabulary.size()) + field.value().size());
  for (const JsonField& entry : field.array()) {
    AddedToken token;
    token.id = static_cast<std::int32_t>(entry["id"].integer(0, most));
    token.content = entry["content"].string();
    token.single_word = entry["single_word"].boolean_or(false);
    token.lstrip = entry["lstrip"].boolean_or(false);
    token.rstrip = entry["rstrip"].boolean_or(false);
    token.special = entry["special"].boolean_or(false);
    token.normalized = entry["normalized"].boolean_or(!token.special);
    if (token.content.empty()) entry["content"].fail("a string that is not empty");
    if (token.content.size() > kMaxLiteral) {
      entry["content"].fail(fmt::format("a string of at most {} bytes", kMaxLiteral));
    }

    const auto known = vocabulary.find(token.content);
    if (known && *known != token.id) entry["id"].fail(fmt::format("{}, its id in the vocabulary", *known));
    if (!known) {
      if (vocabulary.contains(token.id)) {
        entry["id"].fail("an id of its own", in_quotes(vocabulary[token.id].spelling) + " has it");
      }
      vocabulary.add(token.id, {token.content, token.content, token.special, false});
    }
    vocabulary.make_added(token.id, token.special);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// "a b" or ["a", "b"]
std::pair<std::string, std::string> read_pair(const JsonField& entry) {
  if (entry.value().is_array()) {
    if (entry.value().size() != 2) entry.fail("a pair");
    return {entry[0].string(), entry[1].string()};
  }
  const std::string text = entry.string();
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) entry.fail("two tokens");
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<Merge> read_merges(const JsonField& field, const Vocabulary& vocabulary, const MergeLines* lines) {
  std::vector<Merge> merges;
  for (const JsonField& item : field.array()) {
    const JsonField entry =
        lines == nullptr
            ? item
            : JsonField::root(item.value(), fmt::format("{}, line {}", lines->file, lines->numbers[merges.size()]));
    const auto [left, right] = read_pair(entry);
    const auto id = [&](const std::string& spelling) {
      const auto found = vocabulary.find_in_model(spelling);
      if (!found) entry.fail("tokens of the vocabulary", in_quotes(spelling) + " is not there");
      return *found;
    };
    merges.push_back({{id(left), id(right)}, id(left + right)});
  }
  return merges;
}

}  // namespace

TokenizerParts parse_tokenizer_json(std::string_view text, const std::string& name) {
  return read_tokenizer_document(parse_json(text, name), name);
}

TokenizerParts read_tokenizer_document(json document, const std::string& name, const MergeLines* lines) {
  const JsonField root = JsonField::root(document, name);
  const JsonField model = root["model"];
  // Files from before 2020 name no type.
  if (!model["type"].is_null() && model["type"].string() != "BPE") model["type"].fail("BPE");

  TokenizerParts parts;
  const JsonField vocab = model["vocab"];
  parts.vocabulary = read_vocabulary(lines == nullptr ? vocab : JsonField::root(vocab.value(), name));
  std::vector<Merge> merges = read_merges(model["merges"], parts.vocabulary, lines);
  parts.added = read_added_tokens(root["added_tokens"], parts.vocabulary);

  document.erase("added_tokens");
  document["model"].erase("vocab");
  document["model"].erase("merges");
  document["model"]["type"] = "BPE";
  parts.frame = document.dump();
  compile(parts, std::move(merges), name);
  return parts;
}

std::string write_tokenizer_json(const TokenizerParts& parts) {
  const ordered_json frame = ordered_json::parse(parts.frame);
  ordered_json document;
  for (const char* key : {"version", "truncation", "padding"}) {
    if (frame.contains(key)) document[key] = frame[key];
  }
  document["added_tokens"] = ordered_json::array();
  for (const AddedToken& token : parts.added) {
    document["added_tokens"].push_back({{"id", token.id},
                                        {"content", token.content},
                                        {"single_word", token.single_word},
                                        {"lstrip", token.lstrip},
                                        {"rstrip", token.rstrip},
                                        {"normalized", token.normalized},
                                        {"special", token.special}});
  }
  for (const auto& [key, value] : frame.items()) {
    if (!document.contains(key) && key != "model") document[key] = value;
  }
  ordered_json model = frame["model"];

  // An ordered object is a list: adding at its end spares a search for the key.
  ordered_json::object_t vocab;
  for (std::int32_t id = 0; id < parts.vocabulary.size(); ++id) {
    if (!parts.vocabulary.contains(id) || !parts.vocabulary[id].in_model) continue;
    vocab.emplace_back(parts.vocabulary[id].spelling, id);
  }
  model["vocab"] = std::move(vocab);
  ordered_json merges = ordered_json::array();
  for (const Merge& merge : parts.model.merges()) {
    merges.push_back({parts.vocabulary[merge.pair.left].spelling, parts.vocabulary[merge.pair.right].spelling});
  }
  model["merges"] = std::move(merges);
  document["model"] = std::move(model);
  return document.dump(2) + "\n";
}

}  // namespace blalm
