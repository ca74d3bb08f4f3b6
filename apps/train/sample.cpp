#include "blalm/apps/train/sample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "blalm/autograd/modes.h"
#include "blalm/core/rng.h"
#include "blalm/models/decode.h"

namespace blalm {
namespace {

constexpr double kTemperature = 0.8;

std::int32_t draw(const Tensor& logits, Rng& rng) {
  const std::int64_t n = logits.numel();
  double largest = logits.at(0);
  for (std::int64_t v = 1; v < n; ++v) largest = std::max(largest, logits.at(v));
  std::vector<double> cumulative(static_cast<std::size_t>(n));
  double sum = 0;
  for (std::int64_t v = 0; v < n; ++v)
    cumulative[static_cast<std::size_t>(v)] = sum += std::exp((logits.at(v) - largest) / kTemperature);
  const auto at = std::ranges::upper_bound(cumulative, rng.uniform() * sum);
  return static_cast<std::int32_t>(std::min<std::int64_t>(at - cumulative.begin(), n - 1));
}

}  // namespace

std::string sample(LanguageModel& model, const Tokenizer& tokenizer, const std::string& prompt, std::int64_t tokens,
                   std::uint64_t seed) {
  std::vector<std::int32_t> ids = tokenizer.encode(prompt);
  if (const auto bos = tokenizer.token_id("<s>")) ids.insert(ids.begin(), *bos);
  if (ids.empty()) return {};
  const InferenceMode inference;
  Rng rng(seed, 1);
  DecodeState state(model, 1);
  Tensor logits = prefill(model, Tensor::from_ids({1, static_cast<std::int64_t>(ids.size())}, ids), state);
  std::vector<std::int32_t> out = ids;
  for (std::int64_t i = 0; i < tokens; ++i) {
    out.push_back(draw(logits, rng));
    if (i + 1 < tokens)
      logits = step(model, Tensor::from_ids({1}, std::span<const std::int32_t>(&out.back(), 1)), state);
  }
  std::string text = tokenizer.decode(out);
  std::ranges::replace(text, '\n', ' ');
  return text;
}

}  // namespace blalm
