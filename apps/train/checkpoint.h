// Checkpoints: last/ (model folder, optimiser state, position) and chck_1M, … (model folders alone).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "blalm/data/loader.h"
#include "blalm/models/language_model.h"
#include "blalm/optim/optimizer.h"

namespace blalm {

// Where a run stands, beside the model and the optimiser.
struct RunPosition {
  std::int64_t step = 0;
  LoaderPosition loader;
  std::uint64_t loader_identity = 0;
  std::int64_t words = 0, tokens = 0;
  double seconds = 0;          // of training
  double best_valid_loss = 0;  // 0: none yet
  std::int64_t validations_without_gain = 0;
};

// Writes RUN/last/ so that at any moment one complete checkpoint exists: into last.new/, then the old last/ becomes
// last.previous/ and last.new/ becomes last/. Its file DONE comes last, with size and XXH3-128 of every other file.
// DataError when it cannot be written: the old one is then untouched.
void save_checkpoint(const std::filesystem::path& run, const LanguageModel& model, const Optimizer& optimizer,
                     const RunPosition& position, const std::string& tokenizer_json);

// The model alone, as RUN/NAME/ with tokenizer.json: atomic, and left alone if it is there.
void save_milestone(const std::filesystem::path& run, const std::string& name, const LanguageModel& model,
                    const std::string& tokenizer_json);

struct FoundCheckpoint {
  std::filesystem::path folder;
  RunPosition position;
  std::vector<std::string> refused;  // newer ones that are damaged: "last/model.safetensors: …"
};

// The newest checkpoint of a run whose files all are what DONE says. Nothing when there is none at all; DataError,
// naming what is wrong with each, when there are some but none is whole.
std::optional<FoundCheckpoint> find_checkpoint(const std::filesystem::path& run);

// Puts the weights and the optimiser's state of a checkpoint into these. Throws as load_model and Optimizer::restore.
void load_checkpoint(const FoundCheckpoint& checkpoint, LanguageModel& model, Optimizer& optimizer);

}  // namespace blalm
