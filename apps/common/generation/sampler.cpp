#include "apps/common/generation/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/error.h"
#include "engine/core/number.h"

namespace blalm {
namespace {

bool before(const Candidate& a, const Candidate& b) {
  return a.probability > b.probability || (a.probability == b.probability && a.id < b.id);
}
bool after(const Candidate& a, const Candidate& b) { return before(b, a); }

double sum_of(std::span<const Candidate> candidates) {
  double sum = 0;
  for (const Candidate& c : candidates) sum += c.probability;
  return sum;
}

// The first of the largest logits.
std::int32_t argmax(std::span<const float> logits) {
  std::int32_t best = -1;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i]) || logits[i] == std::numeric_limits<float>::infinity())
      throw NumericError(expected_got("generate", "finite logits",
                                      fmt::format("{} for token {}", without_nan_sign(logits[i]), i),
                                      "the model's weights may have diverged"));
    if (logits[i] == -std::numeric_limits<float>::infinity()) continue;
    if (best < 0 || logits[i] > logits[static_cast<std::size_t>(best)]) best = static_cast<std::int32_t>(i);
  }
  if (best < 0) throw NumericError(expected_got("generate", "a token that may come", "none"));
  return best;
}

}  // namespace

Fields SamplerOptions::fields() {
  Fields f;
  f.add("temperature", temperature,
        "below 1 sharpens the probabilities, above 1 flattens them; 0: the most probable token")
      .at_least(0)
      .at_most(1000);
  f.add("top-k", top_k, "only the most probable tokens, so many; 0: all").at_least(0).at_most(1e9);
  f.add("top-p", top_p, "only the most probable tokens that together have this probability; 1: all")
      .above(0)
      .at_most(1);
  f.add("min-p", min_p, "only tokens with this share of the probability of the first; 0: all").at_least(0).at_most(1);
  return f;
}

std::span<const Candidate> Sampler::candidates(std::span<const float> logits) {
  const std::int32_t best = argmax(logits);
  kept_.clear();
  if (options_.temperature == 0) {
    kept_.push_back({best, 1});
    return kept_;
  }
  const double largest = logits[static_cast<std::size_t>(best)];
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - largest) / options_.temperature);  // 1 for the largest
    if (weight > 0) kept_.push_back({static_cast<std::int32_t>(i), weight});
  }
  keep_top_k();
  keep_top_p();
  if (options_.min_p > 0) {
    std::erase_if(kept_, [&](const Candidate& c) { return c.probability < options_.min_p; });
    std::ranges::sort(kept_, before);
  }
  const double sum = sum_of(kept_);
  for (Candidate& c : kept_) c.probability /= sum;
  return kept_;
}

void Sampler::keep_top_k() {
  const auto k = static_cast<std::size_t>(options_.top_k);
  if (k == 0) return;
  if (k < kept_.size()) {
    std::ranges::nth_element(kept_, kept_.begin() + static_cast<std::ptrdiff_t>(k), before);
    kept_.resize(k);
  }
  std::ranges::sort(kept_, before);
}

// A heap gives the most probable one after another: few are needed of many.
void Sampler::keep_top_p() {
  if (options_.top_p >= 1) return;
  const double enough = options_.top_p * sum_of(kept_);
  std::vector<Candidate> taken;
  double mass = 0;
  std::ranges::make_heap(kept_, after);
  while (!kept_.empty() && (taken.empty() || mass < enough)) {
    std::ranges::pop_heap(kept_, after);
    taken.push_back(kept_.back());
    mass += kept_.back().probability;
    kept_.pop_back();
  }
  kept_ = std::move(taken);
}

std::int32_t Sampler::sample(std::span<const float> logits, Rng& rng) {
  const std::span<const Candidate> list = candidates(logits);
  if (options_.temperature == 0) return list.front().id;
  const double u = rng.uniform();
  double cumulative = 0;
  for (const Candidate& c : list) {
    cumulative += c.probability;
    if (u < cumulative) return c.id;
  }
  return list.back().id;  // the sum was rounded to less than u
}

double log_probability(std::span<const float> logits, std::int32_t id) {
  const double largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float z : logits) sum += std::exp(z - largest);
  return logits[static_cast<std::size_t>(id)] - largest - std::log(sum);
}

}  // namespace blalm
