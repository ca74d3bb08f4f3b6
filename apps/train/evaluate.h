// Loss on held-out text (spec §3.5).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "blalm/data/token_data.h"
#include "blalm/models/language_model.h"

namespace blalm {

struct Evaluation {
  double loss = 0;           // nats a predicted token
  double bits_per_byte = 0;  // independent of the tokenizer
  std::int64_t tokens = 0;   // predicted
  double perplexity() const;
};

// Over blocks of `seq` tokens in the order of the text, none overlapping, the first token of each not predicted; at
// most `blocks` of them (0: all), `batch` at once. `go_on` is told of blocks done and blocks in all after every batch;
// where it answers false, that is the end of it, and there is no result.
std::optional<Evaluation> evaluate(LanguageModel& model, const TokenData& data, std::int64_t seq, std::int64_t batch,
                                   std::int64_t blocks,
                                   const std::function<bool(std::int64_t, std::int64_t)>& go_on = {});

}  // namespace blalm
