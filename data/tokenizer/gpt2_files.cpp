#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <unordered_set>
#include <utility>

#include "data/tokenizer/byte_level.h"
#include "data/tokenizer/tokenizer_parts.h"
#include "engine/core/utf8.h"
#include "engine/io/json_field.h"
#include "engine/io/json_text.h"

namespace blalm {
namespace {

using nlohmann::json;

constexpr std::string_view kVersion = "#version";  // the first line of merges.txt, when it has one

// The merges, a string each; `lines` gets their numbers.
json read_merge_lines(std::string_view text, std::vector<std::int64_t>& lines) {
  json merges = json::array();
  if (text.starts_with(utf8::kByteOrderMark)) text.remove_prefix(utf8::kByteOrderMark.size());
  for (std::int64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with(kVersion)) continue;
    merges.push_back(line);
    lines.push_back(number);
  }
  return merges;
}

// The text that a merge "a b" makes.
std::string joined(std::string merge) {
  const std::size_t space = merge.find(' ');
  if (space != std::string::npos) merge.erase(space, 1);
  return merge;
}

}  // namespace

TokenizerParts parse_gpt2_files(std::string_view vocab, std::string_view merges, const Gpt2Names& names) {
  json document = json::parse(default_frame());
  json& model = document["model"];
  std::vector<std::int64_t> lines;
  model["vocab"] = parse_json(vocab, names.vocab);
  model["merges"] = read_merge_lines(merges, lines);
  if (!model["vocab"].is_object()) JsonField::root(model["vocab"], names.vocab).fail("an object");

  std::unordered_set<std::string> made;
  for (const json& merge : model["merges"]) made.insert(joined(merge.get<std::string>()));
  json added = json::array();
  for (const auto& [spelling, id] : model["vocab"].items()) {
    const auto bytes = byte_level::unspell(spelling);
    if ((bytes && bytes->size() == 1) || made.contains(spelling)) continue;
    added.push_back({{"id", id}, {"content", spelling}, {"special", true}, {"normalized", false}});
  }
  document["added_tokens"] = std::move(added);
  const MergeLines merge_lines{names.merges, std::move(lines)};
  return read_tokenizer_document(std::move(document), names.vocab, &merge_lines);
}

Gpt2Files write_gpt2_files(const TokenizerParts& parts) {
  nlohmann::ordered_json::object_t vocab;
  for (std::int32_t id = 0; id < parts.vocabulary.size(); ++id) {
    if (parts.vocabulary.contains(id)) vocab.emplace_back(parts.vocabulary[id].spelling, id);
  }
  Gpt2Files files{nlohmann::ordered_json(std::move(vocab)).dump(), "#version: 0.2\n"};
  for (const Merge& merge : parts.model.merges()) {
    files.merges +=
        fmt::format("{} {}\n", parts.vocabulary[merge.pair.left].spelling, parts.vocabulary[merge.pair.right].spelling);
  }
  return files;
}

}  // namespace blalm
