// What a run leaves on disk (design §9), beside checkpoints and metrics.
#pragma once

#include <filesystem>
#include <string>

#include "blalm/apps/train/run_config.h"

namespace blalm {

class RunFolder {
 public:
  // Makes the folder, or opens it when it is there and `resume`. ConfigError when it holds a run that is not to be
  // resumed; DataError when it cannot be made, or when another process has it: two would write over each other's work.
  RunFolder(const std::filesystem::path& path, bool resume);
  // A folder that was made here goes again, with all that is in it, unless it is kept.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  bool has_config() const { return std::filesystem::exists(path_ / "config.toml"); }
  void keep() { kept_ = true; }
  void write_config(RunConfig& config) const;
  // A run is continued with its own settings: ConfigError listing those that `config` has otherwise.
  void require_same_config(RunConfig& config) const;
  // run.json: what may help to make the run again: command line, machine, versions, seed, times, steps, peak memory.
  // `state` is "running", "finished", "interrupted", ….
  void write_summary(const RunConfig& config, const std::string& state, std::int64_t steps, double seconds) const;
  void log(const std::string& line) const;                            // log.txt, with the time
  void add_sample(std::int64_t step, const std::string& text) const;  // samples.txt

 private:
  void append(const char* file, const std::string& text) const;

  std::filesystem::path path_;
  std::filesystem::path made_;  // the highest folder that was made here: path_ or one above it
  bool kept_ = false;
  std::string started_;  // of the first process that trained here
  int lock_ = -1;        // the folder itself, locked as long as this lives
};

}  // namespace blalm
