#include "apps/bench/decode_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/common/machine.h"
#include "engine/core/parallel.h"
#include "engine/core/rng.h"
#include "engine/inspect/table.h"

namespace blalm::bench {
namespace {

constexpr std::int64_t kPiece = 512;  // tokens that the prompt is read in at a time

}  // namespace

std::int64_t weight_bytes(const LanguageModel& model) {
  const bool tied = model.config().tie_word_embeddings;
  std::int64_t bytes = 0;
  for (const ShapedParameter& p : model.shaped_parameters()) {
    const Role role = p.parameter->role;
    if (role == Role::embedding && !tied && p.parameter->name != "lm_head.weight") continue;
    const bool operand = role == Role::matrix || role == Role::gate || role == Role::embedding;
    bytes += p.shape.numel() * size_of(operand ? model.run.precision.operand : DType::f32);
  }
  return bytes;
}

double read_bandwidth(std::int64_t bytes, std::int64_t repeats) {
  const std::int64_t words = std::max<std::int64_t>(bytes / 8, 1);
  const Tensor memory = Tensor::full({words}, 1, DType::f64);
  const auto* numbers = static_cast<const std::uint64_t*>(memory.raw());
  std::atomic<std::uint64_t> all{0};  // keeps the reads from being left out
  double best = 0;
  for (std::int64_t i = 0; i <= repeats; ++i) {
    const double seconds = seconds_of([&] {
      parallel_for(words, 1.0, [&](std::int64_t begin, std::int64_t end) {
        all += std::accumulate(numbers + begin, numbers + end, std::uint64_t{0});
      });
    });
    if (i > 0) best = std::max(best, static_cast<double>(words * 8) / seconds);
  }
  return all.load() == 1 ? 0 : best;
}

DecodeBench::DecodeBench(const Workload& w, std::vector<std::int64_t> positions, std::int64_t tokens)
    : workload_(w), tokens_(tokens) {
  set_num_threads(static_cast<int>(w.threads));
  model_ = make_model(w);
  for (const Parameter* p : model_->parameters()) parameters_ += p->value.numel();
  weight_bytes_ = weight_bytes(*model_);
  const KernelChoice choice(w.kernels);
  Rng rng(0);
  DecodeState state(*model_, w.batch);
  std::int64_t read = 0;
  for (const std::int64_t position : positions) {
    while (read < position) {
      const std::int64_t piece = std::min(kPiece, position - read);
      prefill(*model_, random_ids(rng, w.batch, piece, w.vocab), state);
      read += piece;
    }
    places_.push_back({position, state});
  }
}

double DecodeBench::seconds_a_step(const Place& place) {
  const KernelChoice choice(workload_.kernels);
  DecodeState state = place.state;
  Rng rng(0, static_cast<std::uint64_t>(place.position));
  const Tensor ids = random_ids(rng, tokens_, workload_.batch, workload_.vocab);  // a row a step
  const double seconds = seconds_of([&] {
    for (std::int64_t i = 0; i < tokens_; ++i) step(*model_, ids.row(i), state);
  });
  return seconds / static_cast<double>(tokens_);
}

void DecodeBench::warm_up() {
  for (const Place& p : places_) seconds_a_step(p);
}
void DecodeBench::measure() {
  for (Place& p : places_) p.seconds.push_back(seconds_a_step(p));
  peak_rss_bytes_ = blalm::peak_rss_bytes();
}
void DecodeBench::measure_bandwidth() {
  bandwidth_ = read_bandwidth(weight_bytes_, std::max<std::int64_t>(workload_.repeats, 3));
}

double DecodeBench::tokens_per_second(double seconds) const { return static_cast<double>(workload_.batch) / seconds; }
double DecodeBench::limit() const { return tokens_per_second(static_cast<double>(weight_bytes_) / bandwidth_); }

std::string DecodeBench::report() const {
  std::string text = fmt::format("{}, batch {}\n", title(workload_, parameters_), workload_.batch);
  text += fmt::format(
      "A token reads {} of weights. As much memory is read at {:.1f} GB/s, which allows {:.1f} tokens/s.\n\n",
      inspect::human_bytes(weight_bytes_), bandwidth_ / 1e9, limit());
  text += fmt::format("{:>9}{:>12}{:>24}{:>12}{:>14}{:>10}{:>12}\n", "position", "tokens/s",
                      fmt::format("over {} runs", places_[0].seconds.size()), "ms a step", "of the limit", "of first",
                      "state");
  const double first = spread(places_[0].seconds).median;
  for (const Place& p : places_) {
    const Spread s = spread(p.seconds);
    text += fmt::format(
        "{:>9}{:>12.1f}{:>24}{:>12.3f}{:>13.1f}%{:>9.1f}%{:>12}\n", p.position, tokens_per_second(s.median),
        fmt::format("{:.1f} to {:.1f}", tokens_per_second(s.max), tokens_per_second(s.min)), 1e3 * s.median,
        100 * tokens_per_second(s.median) / limit(), 100 * first / s.median, inspect::human_bytes(p.state.bytes()));
  }
  return text + fmt::format("\npeak memory {}\n", inspect::human_bytes(peak_rss_bytes_));
}

nlohmann::ordered_json DecodeBench::json() const {
  nlohmann::ordered_json positions = nlohmann::ordered_json::array();
  for (const Place& p : places_) {
    const double seconds = spread(p.seconds).median;
    positions.push_back({{"position", p.position},
                         {"tokens_per_second", tokens_per_second(seconds)},
                         {"step_seconds", seconds},
                         {"step_seconds_all", p.seconds},
                         {"share_of_limit", tokens_per_second(seconds) / limit()},
                         {"state_bytes", p.state.bytes()}});
  }
  return {{"preset", workload_.preset},
          {"size", workload_.size},
          {"params", parameters_},
          {"threads", workload_.threads},
          {"precision", name_of(workload_.precision)},
          {"batch", workload_.batch},
          {"vocab", workload_.vocab},
          {"weight_bytes", weight_bytes_},
          {"read_bandwidth", bandwidth_},
          {"limit_tokens_per_second", limit()},
          {"positions", positions},
          {"peak_rss_bytes", peak_rss_bytes_},
          {"machine", machine_json()}};
}

}  // namespace blalm::bench
