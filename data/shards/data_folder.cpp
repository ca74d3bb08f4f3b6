#include "data/shards/data_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "data/shards/shard_rules.h"
#include "data/text/sources.h"
#include "engine/core/error.h"
#include "engine/io/input_file.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

// Those that tell what a folder is when it is not for data.
constexpr const char* kModelFiles[] = {"config.json", "model.safetensors", "config.toml", "run.json"};

bool is_temporary(const std::string& name) { return name.starts_with(".blalm-") && name.ends_with(".tmp"); }

[[noreturn]] void refuse(const fs::path& folder, const std::string& got, const char* hint) {
  throw DataError(
      expected_got("data", fmt::format("an empty folder or one of prepared data, '{}'", folder.string()), got, hint));
}

}  // namespace

Staging::Staging(const OwnedFolder& folder) : folder_(folder.path()), path_(folder_ / kStagingFolder) {
  std::error_code error;
  if (!fs::is_directory(fs::symlink_status(path_, error))) fs::remove(path_, error);  // no link is followed
  clear(error);
  if (!error) fs::create_directory(path_, error);
  if (error) folder.cannot_write(error);
}

Staging::~Staging() {
  std::error_code ignored;
  clear(ignored);
  if (is_prepared(folder_) || !is_prepared(path_)) fs::remove_all(path_, ignored);
}

void Staging::clear(std::error_code& error) const {
  error.clear();
  if (!fs::exists(path_, error)) return;
  std::vector<fs::path> left;
  for (fs::directory_iterator at(path_, error), end; !error && at != end; at.increment(error))
    if (at->path().filename() != "data.json") left.push_back(at->path());
  for (const fs::path& path : left)
    if (!error) fs::remove_all(path, error);
}

void require_data_folder(const fs::path& folder) {
  constexpr const char* kOther = "name another folder";
  std::error_code ignored;
  for (const char* name : kModelFiles)
    if (fs::exists(fs::symlink_status(folder / name, ignored)))
      refuse(folder, fmt::format("one of a model or a run, with '{}'", name), kOther);
  if (earlier_data(folder)) return;

  bool interrupted = fs::is_directory(fs::symlink_status(folder / kStagingFolder, ignored));
  bool has_tokenizer = false;
  std::vector<fs::path> others;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (name == kStagingFolder || is_temporary(name)) continue;
    if (is_shard_file(at->path()))
      interrupted = true;
    else if (name == "tokenizer.json")
      has_tokenizer = true;
    else
      others.push_back(name);
  }
  if (error) refuse(folder, fmt::format("'{}'", error.message()), kOther);
  std::ranges::sort(others);
  if (!others.empty()) refuse(folder, "one with " + some_of(others, 3), kOther);
  if (has_tokenizer && !interrupted) refuse(folder, "one with 'tokenizer.json' alone", kOther);
}

std::optional<PreparedData> earlier_data(const fs::path& folder) {
  for (const fs::path& place : {folder, folder / kStagingFolder})
    if (is_prepared(place)) return read_prepared(place);
  return {};
}

bool is_shard_file(const fs::path& file) {
  const std::string name = file.filename().string();
  constexpr std::size_t kPrefix = 6;  // "train-", "valid-"
  if (!name.ends_with(".bin") || !(name.starts_with("train-") || name.starts_with("valid-"))) return false;
  const std::string digits = name.substr(kPrefix, name.size() - kPrefix - 4);
  if (digits.size() < 5 || digits.find_first_not_of("0123456789") != digits.npos) return false;
  std::error_code ignored;
  if (!fs::is_regular_file(fs::symlink_status(file, ignored))) return false;
  try {
    std::array<char, kShardMagic.size()> start{};
    InputFile input(file);
    return input.read(start) == start.size() && std::string_view(start.data(), start.size()) == kShardMagic;
  } catch (const DataError&) {
    return false;
  }
}

void remove_old_shards(const fs::path& folder, const PreparedData& earlier, const PreparedData& data) {
  std::set<std::string> kept;
  for (const PreparedPart* part : {&data.train, &data.valid})
    for (const ShardInfo& shard : part->shards) kept.insert(shard.file);
  std::error_code ignored;
  for (const PreparedPart* part : {&earlier.train, &earlier.valid})
    for (const ShardInfo& shard : part->shards)
      if (!kept.contains(shard.file) && is_shard_file(folder / shard.file)) fs::remove(folder / shard.file, ignored);
}

}  // namespace blalm
