#include "apps/train/resume.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "data/shards/prepared.h"
#include "data/text/sources.h"
#include "engine/core/error.h"
#include "optim/schedule.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

bool is_edited(const std::vector<Setting>& given, const std::string& path) {
  const auto last = std::find_if(given.rbegin(), given.rend(), [&](const Setting& s) { return s.path == path; });
  return last != given.rend() && !last->origin.starts_with("--");
}

std::string in_words(const ChangedSetting& c) {
  return fmt::format("{} = {} (was {})", c.path, c.now.empty() ? "nothing" : c.now,
                     c.before.empty() ? "nothing" : c.before);
}

bool names_other_data(const std::vector<ChangedSetting>& changes) {
  return std::ranges::any_of(
      changes, [](const ChangedSetting& c) { return c.kind == OnResume::of_data && c.path.starts_with("data."); });
}

// Whether the text that is named now gives the data that the run has.
bool gives_data(DataConfig config, const fs::path& own, const fs::path& aside, Progress& progress, void (*stop)()) {
  const bool prepared = config.train.size() == 1 && is_prepared(config.train[0]);
  if (!prepared && config.tokenizer.empty()) config.tokenizer = own.string();
  const ReadyData again = ready_data(config, aside, progress, stop);
  return have_same_tokens(read_prepared(again.folder), read_prepared(own));
}

// The number that a setting had, or has still.
std::int64_t number_before(const RecordedRun& recorded, const std::string& path, std::int64_t now) {
  const auto before = recorded.settings.find(path);
  if (before == recorded.settings.end()) return now;
  std::int64_t value = now;  // as long as run.json has no number there
  std::from_chars(before->second.data(), before->second.data() + before->second.size(), value);
  return value;
}

}  // namespace

void keep_automatic_values(const RecordedRun& recorded, RunConfig& config) {
  for (const char* path : {"preset", "size"})  // of a model that has no such name
    if (!recorded.settings.contains(path)) config.left_out.push_back(path);
  const Fields fields = config.fields();
  for (const Field& f : fields.list())
    if (const auto before = recorded.settings.find(f.path()); f.get() == "auto" && before != recorded.settings.end())
      f.set(before->second);
}

std::vector<ChangedSetting> changes_on_resume(const RecordedRun& recorded, RunConfig& config,
                                              const std::vector<Setting>& given, const fs::path& run) {
  std::vector<ChangedSetting> changes;
  std::vector<std::string> refused;
  const Fields fields = config.fields();
  for (const Field& f : fields.list()) {
    const auto before = recorded.settings.find(f.path());
    if (before == recorded.settings.end() || !config.says(f) || f.get() == before->second) continue;
    changes.push_back({f.path(), before->second, f.get(), f.on_resume});
    if (f.on_resume == OnResume::fixed)
      refused.push_back(in_words(changes.back()) + (is_edited(given, f.path()) ? ", edited in config.toml" : ""));
  }
  if (!refused.empty())
    throw ConfigError(expected_got(
        "resume", fmt::format("the settings of '{}'", run.string()), fmt::format("{}", fmt::join(refused, ", ")),
        "what a run learns by is fixed: leave it as it was, or begin a new run, from these weights with --init"));
  return changes;
}

ReadyData data_on_resume(const DataConfig& config, const std::vector<ChangedSetting>& changes, const fs::path& run,
                         Progress& progress, void (*stop)()) {
  const fs::path own = run / "data";
  if (is_prepared(own)) {
    if (names_other_data(changes) && !gives_data(config, own, run / "data.check", progress, stop))
      throw DataError(expected_got("data.train", fmt::format("the text of this run, which '{}' holds", own.string()),
                                   fmt::format("another in {}", fmt::join(config.train, ", ")),
                                   "leave it out, or begin a new run"));
    DataConfig kept = config;
    kept.train = {own.string()};
    kept.tokenizer.clear();
    return ready_data(kept, own, progress, stop);
  }
  std::error_code ignored;
  if (config.train.size() == 1 && !fs::exists(parse_source(config.train[0]).path, ignored))
    throw DataError(expected_got("data.train", fmt::format("the data of this run, '{}'", config.train[0]), "nothing",
                                 "where it has moved, say --data.train and its new place"));
  return ready_data(config, own, progress, stop);
}

void require_same_data(const RecordedRun& recorded, const Trainer& trainer) {
  if (!recorded.data) return;
  const DataId now = trainer.data_id();
  const auto require = [](const char* setting, const std::string& a, const std::string& b, const char* expected) {
    if (a != b)
      throw DataError(expected_got(setting, expected, "another",
                                   "name the place where it is now, with --data.train, or begin a new run"));
  };
  require("data.tokenizer", recorded.data->tokenizer, now.tokenizer, "the tokenizer that the run was started with");
  require("data.train", recorded.data->train, now.train, "the text that the run was started with");
  require("data.valid", recorded.data->valid, now.valid, "the held-out text that the run was started with");
}

std::vector<std::string> describe_changes(const RecordedRun& recorded, const std::vector<ChangedSetting>& changes,
                                          Trainer& trainer) {
  std::vector<std::string> lines;
  for (const ChangedSetting& c : changes) lines.push_back("setting    " + in_words(c));
  const OptimConfig& optim = trainer.config().optim;
  const std::int64_t total = trainer.total_steps(), next = trainer.position().step + 1,
                     before =
                         trainer.total_steps(number_before(recorded, "optim.steps", optim.steps),
                                             number_before(recorded, "train.epochs", trainer.config().train.epochs));
  if (total != before)
    lines.push_back(fmt::format(
        "schedule   {} steps in all, not {}: the learning rate goes on at {:.2e} and would have been {:.2e}", total,
        before, lr_at(std::min(next, total), total, optim), lr_at(std::min(next, before), before, optim)));
  return lines;
}

}  // namespace blalm
