#include "data/shards/prepared.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>

#include "data/shards/shard_rules.h"
#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/io/atomic_file.h"
#include "engine/io/json_field.h"
#include "engine/io/json_text.h"
#include "engine/io/mapped_file.h"

namespace blalm {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kFormat = "blalm-data";
constexpr std::int64_t kVersion = 1;
constexpr std::int64_t kMostCount = std::int64_t{1} << 53;

std::filesystem::path list_in(const std::filesystem::path& folder) { return folder / "data.json"; }

std::int64_t sum(const std::vector<ShardInfo>& shards, std::int64_t ShardInfo::*count) {
  std::int64_t total = 0;
  for (const ShardInfo& shard : shards) total += shard.*count;
  return total;
}

Json to_json(const PreparedPart& part) {
  Json shards = Json::array();
  for (const ShardInfo& s : part.shards) {
    shards.push_back({{"file", s.file},
                      {"tokens", s.tokens},
                      {"lines", s.lines},
                      {"words", s.words},
                      {"bytes", s.bytes},
                      {"checksum", fmt::format("{:016x}", s.checksum)}});
  }
  return {{"tokens", part.tokens()}, {"lines", part.lines()},           {"words", part.words()},
          {"bytes", part.bytes()},   {"blank_lines", part.blank_lines}, {"shards", std::move(shards)}};
}

Json to_json(const TextStats& s) {
  return {{"lines", s.lines}, {"words", s.words}, {"bytes", s.bytes}, {"invalid_bytes", s.invalid_bytes}};
}

std::int64_t count_from(const JsonField& object, std::string_view key) { return object[key].integer(0, kMostCount); }

std::uint64_t hex_from(const JsonField& field, std::string_view digits) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (error != std::errc() || end != digits.data() + digits.size() || digits.size() != 16)
    field.fail("hexadecimal digits, 16 a number");
  return value;
}

// Of all shards, as often as they were added up; FormatError where the file says something else.
void check_totals(const JsonField& object, const PreparedPart& part) {
  const auto check = [&](std::string_view key, std::int64_t ShardInfo::*count) {
    std::int64_t total = 0;
    for (const ShardInfo& shard : part.shards) {
      total += shard.*count;
      if (total > kMostCount) object["shards"].fail(fmt::format("at most {} {} in all", kMostCount, key));
    }
    if (count_from(object, key) != total) object[key].fail(fmt::format("{}, the sum of its shards", total));
  };
  check("tokens", &ShardInfo::tokens);
  check("lines", &ShardInfo::lines);
  check("words", &ShardInfo::words);
  check("bytes", &ShardInfo::bytes);
}

PreparedPart part_from(const JsonField& object) {
  PreparedPart part;
  part.blank_lines = count_from(object, "blank_lines");
  for (const JsonField& entry : object["shards"].array()) {
    ShardInfo info{entry["file"].string(),     count_from(entry, "tokens"),
                   count_from(entry, "lines"), count_from(entry, "words"),
                   count_from(entry, "bytes"), hex_from(entry["checksum"], entry["checksum"].string())};
    // A name that leads out of the folder is not followed.
    if (info.file.empty() || info.file.find('/') != info.file.npos || info.file.starts_with('.') ||
        info.file.find('\0') != info.file.npos)
      entry["file"].fail("the name of a file in the same folder");
    part.shards.push_back(std::move(info));
  }
  check_totals(object, part);
  return part;
}

TextStats stats_from(const JsonField& object) {
  return {count_from(object, "lines"), count_from(object, "words"), count_from(object, "bytes"),
          count_from(object, "invalid_bytes")};
}

// A shard that is listed twice is trained on twice, or is validated on what was trained on. By its name, or as a copy:
// the same tokens in the same lines, so many of them that no two texts have them.
void check_each_is_once(const JsonField& root, const PreparedData& data) {
  constexpr std::int64_t kNeverAlike = 1000;
  std::set<std::string> names;
  std::set<std::uint64_t> trained;
  for (const Part p : {Part::train, Part::valid}) {
    const std::vector<JsonField> entries = root[name_of(p)]["shards"].array();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const ShardInfo& shard = data.part(p).shards[i];
      if (!names.insert(shard.file).second) entries[i]["file"].fail("a shard that is listed once");
      if (p == Part::train) trained.insert(shard.checksum);
      if (p == Part::valid && shard.tokens >= kNeverAlike && trained.contains(shard.checksum))
        entries[i]["checksum"].fail("that of text that is not trained on");
    }
  }
}

}  // namespace

std::int64_t PreparedPart::tokens() const { return sum(shards, &ShardInfo::tokens); }
std::int64_t PreparedPart::lines() const { return sum(shards, &ShardInfo::lines); }
std::int64_t PreparedPart::words() const { return sum(shards, &ShardInfo::words); }
std::int64_t PreparedPart::bytes() const { return sum(shards, &ShardInfo::bytes); }

bool have_same_tokens(const PreparedData& a, const PreparedData& b) {
  const auto same = [&](Part p) {
    return std::ranges::equal(a.part(p).shards, b.part(p).shards, {}, &ShardInfo::checksum, &ShardInfo::checksum);
  };
  return a.tokenizer == b.tokenizer && same(Part::train) && same(Part::valid);
}

bool is_prepared(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(list_in(folder), ignored);
}

void write_prepared(const std::filesystem::path& folder, const PreparedData& data) {
  Json sources = Json::array();
  for (const SourceReport& s : data.sources) {
    sources.push_back(
        {{"path", s.path.string()}, {"train", to_json(s.train)}, {"valid", to_json(s.valid)}, {"capped", s.capped}});
  }
  const Json document = {
      {"format", kFormat},
      {"version", kVersion},
      {"tokenizer", {{"vocab_size", data.tokenizer.vocab_size}, {"fingerprint", data.tokenizer.fingerprint.str()}}},
      {"separator", name_of(data.separator)},
      {"settings", data.settings},
      {"train", to_json(data.train)},
      {"valid", to_json(data.valid)},
      {"sources", std::move(sources)}};
  write_file_atomically(list_in(folder), json_text(document, 1) + "\n");
}

PreparedData read_prepared(const std::filesystem::path& folder) {
  if (!is_prepared(folder)) {
    throw DataError(expected_got("data", fmt::format("a folder of prepared data '{}'", folder.string()),
                                 "no data.json in it", "blalm tokenize makes one; it may have been interrupted"));
  }
  const std::string name = list_in(folder).string();
  const MappedFile file(list_in(folder));
  const nlohmann::json document = parse_json(file.text(), name);
  const JsonField root = JsonField::root(document, name);
  if (root["format"].is_null() || root["format"].string() != kFormat) root["format"].fail(fmt::format("'{}'", kFormat));
  root["version"].integer(kVersion, kVersion);

  PreparedData data;
  data.tokenizer.vocab_size = root["tokenizer"]["vocab_size"].integer(1, kMaxVocabulary);
  const JsonField fingerprint = root["tokenizer"]["fingerprint"];
  const std::string digits = fingerprint.string();
  if (digits.size() != 32) fingerprint.fail("32 hexadecimal digits");
  data.tokenizer.fingerprint = {hex_from(fingerprint, std::string_view(digits).substr(0, 16)),
                                hex_from(fingerprint, std::string_view(digits).substr(16))};
  const std::vector<std::string> names = separator_names();
  const auto found = std::ranges::find(names, root["separator"].string());
  if (found == names.end()) root["separator"].fail("none, bos, bos-eos or eos");
  data.separator = static_cast<Separator>(found - names.begin());
  data.train = part_from(root["train"]);
  data.valid = part_from(root["valid"]);
  check_each_is_once(root, data);
  for (const JsonField& source : root["sources"].array()) {
    data.sources.push_back({utf8::without_stand_ins(source["path"].string()), stats_from(source["train"]),
                            stats_from(source["valid"]), source["capped"].boolean()});
  }
  if (const auto settings = document.find("settings"); settings != document.end())
    for (const auto& [key, value] : settings->items())
      data.settings[key] = utf8::without_stand_ins(root["settings"][key].string());
  return data;
}

}  // namespace blalm
