#include "blalm/apps/train/run_folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

#include "blalm/apps/common/append_file.h"
#include "blalm/apps/common/machine.h"
#include "blalm/core/error.h"
#include "blalm/core/parallel.h"
#include "blalm/io/atomic_file.h"
#include "blalm/io/mapped_file.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

// The command line of this process, as a shell takes it.
std::string command_line() {
  std::string line;
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  for (std::string word; std::getline(in, word, '\0');) {
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789_-+=./,:%@") == word.npos;
    for (std::size_t at = word.find('\''); at != word.npos; at = word.find('\'', at + 4)) word.replace(at, 1, "'\\''");
    if (!line.empty()) line += ' ';
    line += plain ? word : fmt::format("'{}'", word);
  }
  return line;
}

// "started" in the run.json of an earlier process; empty when there is none that can be read.
std::string start_in(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return {};
  const MappedFile text(file);
  const nlohmann::json run = nlohmann::json::parse(text.text(), nullptr, false);
  return run.is_object() && run.contains("started") && run["started"].is_string() ? run["started"].get<std::string>()
                                                                                  : std::string();
}

}  // namespace

RunFolder::RunFolder(const fs::path& folder, bool resume)
    : owned_(folder.has_filename() ? folder : folder.parent_path(), "train") {
  if (has_config() && !resume)
    throw ConfigError(expected_got("train", "a new run folder", fmt::format("'{}', which holds a run", path().string()),
                                   "--resume auto continues it; --run DIR names another"));
  started_ = start_in(path() / "run.json");
  if (started_.empty()) started_ = utc_now();
}

void RunFolder::write_config(RunConfig& config) const {
  write_file_atomically(path() / "config.toml",
                        "# All settings of this run, as they were resolved.\n" + config.to_toml());
}

void RunFolder::require_same_config(RunConfig& config) const {
  RunConfig stored;
  stored.configure(read_settings(path() / "config.toml"));
  stored.resolve_paths();
  const Fields now = config.fields(), then = stored.fields();
  std::vector<std::string> changed;
  for (std::size_t i = 0; i < now.list().size(); ++i) {
    const Field &a = now.list()[i], &b = then.list()[i];
    const bool is_tokenizers = a.path() == "data.vocab_size" && !config.data.tokenizer.empty();
    if (a.get() != b.get() && !may_change_on_resume(a.path()) && !is_tokenizers)
      changed.push_back(fmt::format("{} = {} (was {})", a.path(), a.get(), b.get()));
  }
  if (!changed.empty())
    throw ConfigError(expected_got("resume", fmt::format("the settings of '{}'", path().string()),
                                   fmt::format("{}", fmt::join(changed, ", "))));
}

void RunFolder::write_summary(const RunConfig& config, const std::string& state, std::int64_t steps,
                              double seconds) const {
  const std::string now = utc_now();
  nlohmann::ordered_json summary = {
      {"state", state},
      {"command", command_line()},
      {"started", started_},
      {state == "running" ? "updated" : "ended", now},
      {"steps", steps},
      {"seconds", seconds},
      {"preset", config.preset},
      {"size", config.size},
      {"seed", config.train.seed},
      {"precision", name_of(config.train.precision)},
      {"threads", num_threads()},
      {"peak_memory_bytes", peak_rss_bytes()},
  };
  summary.update(machine_json());
  write_file_atomically(path() / "run.json", summary.dump(2) + "\n");
}

void RunFolder::log(const std::string& line) const { append("log.txt", fmt::format("{}  {}\n", utc_now(), line)); }

void RunFolder::add_sample(std::int64_t step, const std::string& text) const {
  append("samples.txt", fmt::format("step {}\n{}\n\n", step, text));
}

void RunFolder::append(const char* file, const std::string& text) const { AppendFile(path() / file).append(text); }

}  // namespace blalm
