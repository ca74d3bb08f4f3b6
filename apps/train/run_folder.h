// What a run leaves on disk (design §9), beside checkpoints and metrics.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "apps/common/run_config.h"
#include "apps/train/trainer.h"
#include "engine/io/owned_folder.h"

namespace blalm {

// What a run goes on with.
struct RecordedRun {
  std::map<std::string, std::string> settings;  // as they were resolved, by path
  std::optional<DataId> data;                   // nothing in folders of older programs
  bool has_older_seeds = false;                 // RunConfig::take_older_seeds
};
// From run.json, so that a config.toml that was edited is noticed; of what older programs left, from config.toml.
// ConfigError or DataError for a config.toml that cannot be read.
RecordedRun read_record(const std::filesystem::path& run);

class RunFolder {
 public:
  // Owns the folder, which goes again if it is new and not kept. ConfigError when it holds a run that is not to be
  // resumed, or no run but something else; DataError as OwnedFolder says: two processes would write over each other's
  // work.
  RunFolder(const std::filesystem::path& folder, bool resume);

  const std::filesystem::path& path() const { return owned_.path(); }
  void keep() { owned_.keep(); }
  void write_config(RunConfig& config) const;
  // run.json: where the run stands, and what may help to make it again: command line, settings, data, machine,
  // versions, times, peak memory. `state` is "running", "finished", "interrupted", …; `reason`, if any, is why a run
  // failed.
  void write_summary(Trainer& trainer, const std::string& state, const std::string& reason = {}) const;
  void log(const std::string& line) const;                            // log.txt, with the time
  void add_sample(std::int64_t step, const std::string& text) const;  // samples.txt
  void keep_samples(std::int64_t step) const;                         // up to this step: later ones are drawn again

 private:
  void append(const char* file, const std::string& text) const;

  OwnedFolder owned_;
  std::string started_;  // of the first process that trained here
};

}  // namespace blalm
