// Batches of token blocks for training and evaluation (spec §3.3 to §3.5).
#pragma once

#include <cstdint>
#include <vector>

#include "data/shards/token_data.h"
#include "engine/core/tensor.h"

namespace blalm {

struct LoaderOptions {
  std::int64_t block = 512;  // T: tokens a block; 2 or more
  std::int64_t batch = 64;   // B: blocks a micro-batch
  std::uint64_t seed = 0;    // of the order
  bool shuffle = true;       // a new order every epoch; false: the order of the text
  std::int64_t epochs = 1;
};

// Where a loader stands: `block` blocks of `epoch` (from 0) have been given.
struct LoaderPosition {
  std::int64_t epoch = 0;
  std::int64_t block = 0;  // below blocks_per_epoch(), for the end of an epoch is the beginning of the next

  bool operator==(const LoaderPosition&) const = default;
};

struct Batch {
  Tensor ids;      // i32 [B, T]
  Tensor targets;  // i32 [B, T]: targets[t] = ids[t+1]; the last is -1, for nothing is predicted across blocks
  // What the blocks stand for (line_table.h). Bits a byte are: mean loss · tokens / bytes / ln 2.
  LineCounts counts;
};

// Cuts the text into blocks of exactly T tokens, whatever its lines; the tail is left out. Every epoch gives every
// block once, in an order that depends on seed and epoch alone (Fisher-Yates over a Philox stream), so a position is
// two numbers. A batch has B blocks and may reach into the next epoch; only the very last may have fewer.
class Loader {
 public:
  // `data` must outlive the loader. ConfigError for options that cannot be; DataError for a text shorter than a block.
  Loader(const TokenData& data, const LoaderOptions& options);

  bool next(Batch& batch);  // false after the last epoch

  LoaderPosition position() const { return position_; }
  // Goes to a position of a loader with the same data and options, at the cost of one shuffle.
  // DataError for one that does not exist in this data.
  void seek(LoaderPosition position);
  // Equal for loaders that give the same batches at the same position: to be kept with a saved position.
  std::uint64_t identity() const;

  // Of all blocks given before position(), those before a seek included; exact at the end of an epoch, see
  // line_table.h for positions inside.
  std::int64_t words_seen() const { return seen_.words; }
  std::int64_t tokens_seen() const { return seen_.tokens; }

  const LoaderOptions& options() const { return options_; }
  std::int64_t blocks_per_epoch() const { return static_cast<std::int64_t>(cumulative_.size()) - 1; }
  const LineCounts& counts_per_epoch() const { return cumulative_.back(); }  // without the tail
  // Micro-batches from the beginning to the end of the last epoch.
  std::int64_t batches() const { return (blocks_per_epoch() * options_.epochs + options_.batch - 1) / options_.batch; }

 private:
  LineCounts counts_of(std::int64_t block) const;
  void begin_epoch();

  const TokenData* data_;
  LoaderOptions options_;
  std::vector<LineCounts> cumulative_;  // at block boundaries
  std::vector<std::int64_t> order_;     // of the blocks in this epoch
  LoaderPosition position_;
  LineCounts seen_;
};

}  // namespace blalm
