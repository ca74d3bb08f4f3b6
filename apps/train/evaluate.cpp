#include "apps/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/shards/loader.h"
#include "engine/core/number.h"

namespace blalm {

namespace {

constexpr std::uint64_t kSampleSeed = 0;  // of the order of blocks: one for all runs, so that their losses compare

}  // namespace

double Evaluation::perplexity() const { return std::exp(loss); }

std::optional<std::vector<Evaluation>> evaluate(LanguageModel& model, const TokenData& data, std::int64_t seq,
                                                std::int64_t batch, std::span<const std::int64_t> marks,
                                                const std::function<bool(std::int64_t, std::int64_t)>& go_on) {
  const std::int64_t total = marks.back();
  const bool all_at_once = marks.size() == 1 && total * seq + seq > data.tokens();
  Loader loader(data, {.block = seq, .batch = batch, .seed = kSampleSeed, .shuffle = !all_at_once});
  std::vector<Evaluation> results;
  double sum = 0;
  std::int64_t bytes = 0, seen = 0, tokens = 0;
  for (Batch b; seen < total && loader.next(b);) {
    const std::int64_t rows = std::min(b.ids.dim(0), total - seen);
    const Tensor losses = model.token_losses(b.ids.rows(0, rows), b.targets.rows(0, rows));
    for (std::int64_t i = 0; i < losses.numel(); ++i) sum += losses.at(i);
    tokens += b.counts.tokens;
    bytes += b.counts.bytes;
    seen += rows;
    if (go_on && !go_on(seen, total)) return {};
    if (seen < marks[results.size()]) continue;
    Evaluation& e = results.emplace_back();
    e.blocks = seen;
    e.tokens = seen * (seq - 1);
    e.loss = without_nan_sign(sum / static_cast<double>(e.tokens));
    // Bytes of the predicted tokens: their share of the bytes that all tokens of the blocks stand for.
    const double bytes_per_token = static_cast<double>(bytes) / static_cast<double>(std::max<std::int64_t>(tokens, 1));
    e.bits_per_byte = bytes > 0 ? e.loss / std::numbers::ln2 / bytes_per_token : 0;
  }
  return results;
}

}  // namespace blalm
