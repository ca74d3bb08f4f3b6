// What a run leaves on disk (design §9), beside checkpoints and metrics.
#pragma once

#include <filesystem>
#include <string>

#include "blalm/apps/train/run_config.h"
#include "blalm/io/owned_folder.h"

namespace blalm {

class RunFolder {
 public:
  // Owns the folder, which goes again if it is new and not kept. ConfigError when it holds a run that is not to be
  // resumed; DataError as OwnedFolder says: two processes would write over each other's work.
  RunFolder(const std::filesystem::path& folder, bool resume);

  const std::filesystem::path& path() const { return owned_.path(); }
  bool has_config() const { return std::filesystem::exists(path() / "config.toml"); }
  void keep() { owned_.keep(); }
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

  OwnedFolder owned_;
  std::string started_;  // of the first process that trained here
};

}  // namespace blalm
