// How much of a disk checkpoints take, and whether it has that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "models/language_model.h"
#include "optim/optimizer.h"

namespace blalm {

// Bytes of a model folder, without its tokenizer, and of a checkpoint's optimiser state.
std::int64_t model_bytes(const LanguageModel& model);
std::int64_t optimizer_bytes(const Optimizer& optimizer);

// Bytes that the file system of a folder has left for this user; nothing where it does not tell.
std::optional<std::int64_t> free_bytes(const std::filesystem::path& folder);

// DataError when the file system of a run has no room for `bytes` beside what checkpoints there are: those are
// replaced.
void require_room(const std::filesystem::path& run, std::int64_t bytes);

}  // namespace blalm
