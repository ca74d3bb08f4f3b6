// Choosing the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/fields.h"
#include "engine/core/rng.h"

namespace blalm {

struct SamplerOptions {
  double temperature = 0.8;
  std::int64_t top_k = 0;
  double top_p = 0.95;
  double min_p = 0;

  Fields fields();  // temperature, top-k, top-p, min-p; refers to this struct
};

struct Candidate {
  std::int32_t id = 0;
  double probability = 0;
};

// p = softmax(logits / temperature), then one filter after the other, each on what the former left, made to sum to 1
// again: the top_k most probable (0: all), the most probable that together have at least top_p (1: all), those with at
// least min_p times the probability of the first (0: all). Of equal logits the smaller id comes first.
class Sampler {
 public:
  explicit Sampler(const SamplerOptions& options) : options_(options) {}

  // The tokens that may come, most probable first when there is a filter, else by id. At temperature 0 one alone.
  // Valid until the next call. A logit of -infinity rules a token out; NumericError for NaN, +infinity or nothing left.
  std::span<const Candidate> candidates(std::span<const float> logits);

  // Takes one number from `rng`; none at temperature 0.
  std::int32_t sample(std::span<const float> logits, Rng& rng);

 private:
  void keep_top_k();
  void keep_top_p();

  SamplerOptions options_;
  std::vector<Candidate> kept_;
};

// log softmax(logits)[id], at temperature 1 and without filters.
double log_probability(std::span<const float> logits, std::int32_t id);

}  // namespace blalm
