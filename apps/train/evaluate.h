// Loss on held-out text (spec §3.5).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "data/shards/token_data.h"
#include "models/language_model.h"

namespace blalm {

struct Evaluation {
  double loss = 0;           // nats a predicted token
  double bits_per_byte = 0;  // independent of the tokenizer
  std::int64_t blocks = 0;
  std::int64_t tokens = 0;  // predicted
  double perplexity() const;
};

// The losses over the first marks[0], marks[1], … blocks of `seq` tokens, none overlapping, the first token of each not
// predicted. Marks rise, all but the last are multiples of `batch`, the blocks computed at once, and the last is at
// most the number of blocks that there are. Where they take in every block, that is in the order of the text; else
// blocks come in an order drawn once and for all, so that the same marks always mean the same sample. `go_on` is told
// of blocks done and blocks in all after every batch; where it answers false, that is the end of it, and there is no
// result.
std::optional<std::vector<Evaluation>> evaluate(LanguageModel& model, const TokenData& data, std::int64_t seq,
                                                std::int64_t batch, std::span<const std::int64_t> marks,
                                                const std::function<bool(std::int64_t, std::int64_t)>& go_on = {});

}  // namespace blalm
