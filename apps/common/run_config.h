// All settings of a training run: presets, then a TOML file, then flags (design §8).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "apps/common/precision.h"
#include "apps/common/settings.h"
#include "data/config.h"
#include "engine/core/fields.h"
#include "models/config.h"
#include "optim/config.h"

namespace blalm {

struct TrainConfig {
  std::string init;
  std::uint64_t seed = 0;
  Auto<std::int64_t> epochs = 1;
  Auto<std::int64_t> batch = 64;
  std::int64_t micro_batch = 0;
  PrecisionChoice precision = PrecisionChoice::automatic;
  std::int64_t threads = 0;
  bool recompute = false;

  Amount valid_every{5, true};
  Auto<std::int64_t> valid_blocks = 0;
  std::int64_t patience = 0;
  double save_minutes = 10;
  bool keep_previous = true;
  std::int64_t max_skipped = 20;
  bool milestones = true;
  Amount sample_every{25, true};
  std::vector<std::string> prompts = {"Once upon a time", "The little dog"};
  std::int64_t sample_tokens = 40;
  Amount histogram_every{5, true};

  std::int64_t overfit = 0;
  std::int64_t dry_run = 0;
  bool anomaly = false;

  Fields fields();
};

// What a run is called; changes nothing in it.
struct RunLabels {
  std::string name;
  std::string notes;
  std::vector<std::string> tags;

  Fields fields();
};

struct RunConfig {
  std::string preset = "mlstm";
  std::string size = "nano";
  RunLabels run;
  ModelConfig model;
  OptimConfig optim;
  DataConfig data;
  TrainConfig train;
  std::vector<std::string> left_out;  // paths of settings that say nothing in this run: not in its config.toml

  Fields fields();  // preset and size, then [run], [model], [optim], [data], [train]; refers to this struct

  // Preset and size set the model; then all settings in their order. Throws ConfigError.
  void configure(std::vector<Setting> settings);
  // Automatic values replaced by what this machine makes of them, and paths by absolute ones: a run can be continued
  // from any folder. What depends on the text is left to choose_for_text() (automatic.h).
  void resolve();
  void resolve_paths();
  // ConfigError when train.micro_batch, unless it is 0, does not divide train.batch.
  void check_micro_batch() const;
  // From what settings meant when data.seed drew the held-out lines and, with train.seed added, the order of the
  // blocks.
  void take_older_seeds();
  std::string to_toml();                          // as it is resolved
  std::map<std::string, std::string> settings();  // those of to_toml(), by path
  bool says(const Field& field) const;            // whether it means something in this run
  std::string model_name();                       // "mlstm nano", as far as the model has names
};

}  // namespace blalm
