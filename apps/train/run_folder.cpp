#include "apps/train/run_folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "apps/common/append_file.h"
#include "apps/common/folders.h"
#include "apps/common/machine.h"
#include "apps/common/shell_word.h"
#include "data/text/sources.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/core/utf8.h"
#include "engine/io/atomic_file.h"
#include "engine/io/json_text.h"
#include "engine/io/mapped_file.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

// The command line of this process, as a shell takes it.
std::string command_line() {
  std::string line;
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  for (std::string word; std::getline(in, word, '\0');) {
    if (!line.empty()) line += ' ';
    line += shell_word(word);
  }
  return line;
}

// What an earlier process left as run.json; null when it is none that can be read.
nlohmann::json summary_in(const fs::path& folder) {
  try {
    const nlohmann::json run = parse_json(MappedFile(folder / "run.json").text(), "run.json", kSmallJson);
    if (run.is_object()) return run;
  } catch (const Error&) {
  }
  return {};
}

std::string text_in(const nlohmann::json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

nlohmann::ordered_json loss_of(const std::optional<Validation>& valid) {
  return valid ? nlohmann::ordered_json(valid->loss) : nlohmann::ordered_json();
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) entries.push_back(entry.path());
  std::ranges::sort(entries);
  return entries;
}

// What a run that was killed while it prepared its text leaves in data/.
bool is_of_preparation(const fs::path& file) {
  const std::string name = file.filename().string();
  return std::ranges::any_of(std::array{".", "train-", "valid-", "tokenizer.json", "data.json"},
                             [&](const char* begin) { return name.starts_with(begin); });
}

// The folder as it can be owned: a run, or one in which nothing of anybody else lies.
fs::path checked(const fs::path& folder, bool resume) {
  const fs::path path = folder.has_filename() ? folder : folder.parent_path();
  if (is_run(path)) {
    if (resume) return path;
    throw ConfigError(expected_got("train", "a new run folder", fmt::format("'{}', which holds a run", path.string()),
                                   "--resume auto continues it; --run DIR names another"));
  }
  const std::vector<fs::path> entries = entries_of(path);
  const bool is_ours = std::ranges::all_of(entries, [](const fs::path& entry) {
    return entry.filename() == "data" ? std::ranges::all_of(entries_of(entry), is_of_preparation)
                                      : entry.filename().string().starts_with(".blalm-");
  });
  if (is_ours) return path;
  throw ConfigError(expected_got(
      resume ? "resume" : "train", resume ? "the folder of a run" : "a new or empty folder for the run",
      fmt::format("'{}', which is none and holds {}", path.string(), some_of(entries, 1)), "--run DIR names another"));
}

}  // namespace

RunFolder::RunFolder(const fs::path& folder, bool resume) : owned_(checked(folder, resume), "train") {
  started_ = text_in(summary_in(path()), "started");
  if (started_.empty()) started_ = utc_now();
}

void RunFolder::write_config(RunConfig& config) const {
  write_file_atomically(path() / "config.toml", std::string(kRunConfigTitle) + config.to_toml(), Links::replace);
}

RecordedRun read_record(const fs::path& folder) {
  RecordedRun recorded;
  const std::vector<Setting> settings = read_settings(folder / "config.toml");
  recorded.has_older_seeds = std::ranges::find(settings, "run.name", &Setting::path) == settings.end();
  const nlohmann::json run = summary_in(folder);
  if (const auto values = run.find("settings"); values != run.end() && values->is_object())
    for (const auto& [path, value] : values->items())
      if (value.is_string()) recorded.settings[path] = utf8::without_stand_ins(value.get<std::string>());
  if (const auto data = run.find("data"); data != run.end() && data->is_object())
    recorded.data = {text_in(*data, "tokenizer"), text_in(*data, "train"), text_in(*data, "valid")};
  if (recorded.settings.empty()) {
    RunConfig config;
    config.configure(settings);
    if (recorded.has_older_seeds) config.take_older_seeds();
    config.resolve_paths();
    recorded.settings = config.settings();
  }
  return recorded;
}

void RunFolder::write_summary(Trainer& trainer, const std::string& state, const std::string& reason) const {
  RunConfig& config = trainer.config();
  const RunPosition& position = trainer.position();
  const DataId data = trainer.data_id();
  const std::map<std::string, std::string> settings = config.settings();
  const auto label = [&](const char* path) {
    return settings.contains(path) ? nlohmann::ordered_json(settings.at(path)) : nlohmann::ordered_json();
  };
  nlohmann::ordered_json summary = {
      {"state", state},
      {"name", config.run.name},
      {"notes", config.run.notes},
      {"tags", config.run.tags},
      {"command", command_line()},
      {"started", started_},
      {state == "running" ? "updated" : "ended", utc_now()},
      {"steps", position.step},
      {"total_steps", trainer.total_steps()},
      {"words", position.words},
      {"tokens", position.tokens},
      {"seconds", position.seconds},
      {"train_loss", position.recent_loss()},  // a number that is not finite becomes null
      {"valid_loss", loss_of(position.latest)},
      {"best_valid_loss", loss_of(position.best)},
      {"best_step", position.best ? nlohmann::ordered_json(position.best->step) : nlohmann::ordered_json()},
      {"parameters", trainer.parameters()},
      {"preset", label("preset")},
      {"size", label("size")},
      {"seed", config.train.seed},
      {"precision", name_of(config.train.precision)},
      {"threads", num_threads()},
      {"peak_memory_bytes", peak_rss_bytes()},
  };
  if (!reason.empty()) summary["reason"] = reason;
  summary.update(machine_json());
  summary["data"] = {{"tokenizer", data.tokenizer}, {"train", data.train}, {"valid", data.valid}};
  summary["settings"] = settings;
  write_file_atomically(path() / "run.json", json_text(summary) + "\n", Links::replace);
}

void RunFolder::log(const std::string& line) const {
  append("log.txt", fmt::format("{}  {}\n", utc_now(), utf8::printable_lines(line)));
}

void RunFolder::add_sample(std::int64_t step, const std::string& text) const {
  append("samples.txt", fmt::format("step {}\n{}\n\n", step, text));
}

void RunFolder::keep_samples(std::int64_t step) const {
  const fs::path file = path() / "samples.txt";
  std::ifstream in(file, std::ios::binary);
  if (!in) return;
  std::string kept, line;
  for (bool keep = true; std::getline(in, line);) {
    std::int64_t number = 0;  // the lines of a sample are indented
    if (constexpr std::string_view kStep = "step "; line.starts_with(kStep)) {
      std::from_chars(line.data() + kStep.size(), line.data() + line.size(), number);
      keep = number <= step;
    }
    if (keep) kept += line + '\n';
  }
  write_file_atomically(file, kept, Links::replace);
}

void RunFolder::append(const char* file, const std::string& text) const { AppendFile(path() / file).append(text); }

}  // namespace blalm
