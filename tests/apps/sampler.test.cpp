#include "apps/common/generation/sampler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "engine/core/error.h"

namespace blalm {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> random_logits(std::uint64_t seed, std::size_t n = 50) {
  Rng rng(seed);
  std::vector<float> logits(n);
  for (float& z : logits) z = static_cast<float>(std::round(4 * rng.normal()) / 2);  // many are equal
  return logits;
}

// The definition, step by step, with a full sort and no shortcuts.
std::map<std::int32_t, double> expected(const std::vector<float>& logits, const SamplerOptions& o) {
  std::vector<std::pair<double, std::int32_t>> list;  // -probability, id: sorting gives the most probable first
  for (std::size_t i = 0; i < logits.size(); ++i)
    list.emplace_back(-std::exp(logits[i] / o.temperature), static_cast<std::int32_t>(i));
  std::ranges::sort(list);
  const auto sum = [&] {
    return std::accumulate(list.begin(), list.end(), 0.0, [](double s, const auto& c) { return s - c.first; });
  };
  if (o.top_k > 0 && static_cast<std::size_t>(o.top_k) < list.size()) list.resize(static_cast<std::size_t>(o.top_k));
  if (o.top_p < 1) {
    const double total = sum();
    double mass = 0;
    std::size_t n = 0;
    while (n < list.size() && (n == 0 || mass < o.top_p * total)) mass -= list[n++].first;
    list.resize(n);
  }
  const double most = list.front().first;
  std::erase_if(list, [&](const auto& c) { return -c.first < -most * o.min_p; });
  const double total = sum();
  std::map<std::int32_t, double> result;
  for (const auto& [weight, id] : list) result[id] = -weight / total;
  return result;
}

}  // namespace

TEST_CASE("candidates are those of the definition, for all filters together") {
  int compared = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    for (const double temperature : {0.5, 1.0, 2.0})
      for (const std::int64_t top_k : {0, 1, 7, 1000})
        for (const double top_p : {0.1, 0.63, 1.0})
          for (const double min_p : {0.0, 0.17, 1.0}) {
            const SamplerOptions options{temperature, top_k, top_p, min_p};
            const std::vector<float> logits = random_logits(seed);
            Sampler sampler(options);
            const auto list = sampler.candidates(logits);
            const auto want = expected(logits, options);
            CAPTURE(temperature);
            CAPTURE(top_k);
            CAPTURE(top_p);
            CAPTURE(min_p);
            REQUIRE(list.size() == want.size());
            for (const Candidate& c : list) {
              REQUIRE(want.contains(c.id));
              REQUIRE(c.probability == doctest::Approx(want.at(c.id)));
            }
            ++compared;
          }
  CHECK(compared == 20 * 3 * 4 * 3 * 3);
}

TEST_CASE("filters keep the most probable first, and of equal ones the smaller id") {
  const std::vector<float> logits = {1, 3, 3, 2, 3};
  Sampler two({.temperature = 1, .top_k = 2, .top_p = 1});
  const auto list = two.candidates(logits);
  REQUIRE(list.size() == 2);
  CHECK(list[0].id == 1);
  CHECK(list[1].id == 2);
  Sampler greedy({.temperature = 0});
  REQUIRE(greedy.candidates(logits).size() == 1);
  CHECK(greedy.candidates(logits)[0].id == 1);
}

TEST_CASE("a token comes as often as its probability says") {
  const std::vector<float> logits = {0, 1, 2, -kInfinity, 1.5};
  const SamplerOptions options{.temperature = 0.7, .top_k = 0, .top_p = 1};
  Sampler sampler(options);
  Rng rng(3);
  std::map<std::int32_t, int> counts;
  constexpr int kDraws = 40000;
  for (int i = 0; i < kDraws; ++i) ++counts[sampler.sample(logits, rng)];
  CHECK(counts.count(3) == 0);
  for (const auto& [id, p] : expected(logits, options)) {
    const double sigma = std::sqrt(p * (1 - p) / kDraws);
    CHECK(std::abs(counts[id] / double{kDraws} - p) < 4.5 * sigma + 1e-9);
  }
}

TEST_CASE("a seed gives the same tokens again, another one others; greedy takes no number") {
  const auto draw = [](std::uint64_t seed) {
    Sampler sampler({.temperature = 1});
    Rng rng(seed);
    std::vector<std::int32_t> ids;
    for (std::uint64_t i = 0; i < 30; ++i) ids.push_back(sampler.sample(random_logits(i), rng));
    return ids;
  };
  CHECK(draw(1) == draw(1));
  CHECK(draw(1) != draw(2));
  Rng rng(1);
  Sampler greedy({.temperature = 0});
  greedy.sample(random_logits(1), rng);
  CHECK(rng.position() == 0);
}

TEST_CASE("extreme logits and temperatures") {
  Sampler cold({.temperature = 1e-300, .top_k = 0, .top_p = 1});
  Rng rng(1);
  CHECK(cold.sample(std::vector<float>{-1, 5, 4.9F}, rng) == 1);
  Sampler plain({.temperature = 1});
  CHECK(plain.sample(std::vector<float>{-1e30F, 1e30F, 0}, rng) == 1);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity})
    CHECK_THROWS_AS(plain.sample(std::vector<float>{0, bad, 1}, rng), NumericError);
  CHECK_THROWS_AS(plain.sample(std::vector<float>{-kInfinity, -kInfinity}, rng), NumericError);
}

TEST_CASE("log-probabilities are those of a softmax") {
  const std::vector<float> logits = {1, 2, 300};
  CHECK(log_probability(logits, 2) == doctest::Approx(0));
  CHECK(log_probability(logits, 0) == doctest::Approx(-299));
  const std::vector<float> equal(8, -5.0F);
  CHECK(log_probability(equal, 3) == doctest::Approx(-std::log(8.0)));
}

}  // namespace blalm
