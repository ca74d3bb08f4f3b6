#include "apps/train/automatic.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "apps/common/gradients.h"
#include "apps/common/progress.h"

namespace blalm {
namespace {

// A small model learns from the number of steps more than from the size of each: 200 steps of 4,000 tokens beat 24 of
// 32,000 on half a million words by a factor of six in perplexity.
constexpr std::int64_t kStepsPerPass = 200, kLeastSteps = 500, kMostPasses = 10, kFewSteps = 300;
constexpr std::int64_t kLeastBatch = 4, kMostBatch = 64;

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// The power of two nearest to `x` on a scale of ratios.
std::int64_t nearest_power_of_two(double x) { return std::int64_t{1} << std::llround(std::log2(std::max(x, 1.0))); }

std::int64_t batch_for(std::int64_t tokens, std::int64_t seq) {
  const double sequences = static_cast<double>(tokens) / static_cast<double>(seq * kStepsPerPass);
  return std::clamp(nearest_power_of_two(sequences), kLeastBatch, kMostBatch);
}

double rate_for(const RunConfig& config) {
  if (config.optim.optimizer != OptimizerKind::muon) return 1e-3;
  constexpr double kMoonlight = 3e-3;
  if (config.optim.muon_form == MuonForm::moonlight) return kMoonlight;
  return kMoonlight * 0.2 * std::sqrt(static_cast<double>(config.model.hidden_size));
}

}  // namespace

std::string choose_for_text(RunConfig& config, std::int64_t tokens) {
  TrainConfig& train = config.train;
  std::vector<std::string> chosen;
  if (train.batch.automatic) {
    const std::int64_t batch = batch_for(tokens, config.data.seq), micro = std::max<std::int64_t>(train.micro_batch, 1);
    train.batch = ceil_divide(batch, micro) * micro;
    chosen.push_back(fmt::format("{} x {} tokens per step", train.batch.value, config.data.seq));
  }
  if (train.epochs.automatic) {
    const std::int64_t step = train.batch * config.data.seq;
    const std::int64_t passes = ceil_divide(kLeastSteps * step, std::max<std::int64_t>(tokens, 1));
    train.epochs = config.optim.steps > 0 ? 1 : std::clamp<std::int64_t>(passes, 1, kMostPasses);
    if (config.optim.steps == 0)
      chosen.push_back(fmt::format("{} epoch{}", train.epochs.value, train.epochs == 1 ? "" : "s"));
  }
  if (config.optim.optimizer.automatic) {
    config.optim.optimizer = OptimizerKind::muon;
    chosen.push_back("muon");
  }
  if (config.optim.lr.automatic) {
    config.optim.lr = rate_for(config);
    chosen.push_back(fmt::format("learning rate {:.4g}", config.optim.lr.value));
  }
  config.optim.validate();
  if (train.micro_batch == 0) train.micro_batch = usual_micro_batch(train.batch, config.data.seq);
  config.check_micro_batch();
  if (chosen.empty()) return {};
  return fmt::format("{}, chosen for {} tokens of text", fmt::join(chosen, ", "),
                     human_count(static_cast<double>(tokens)));
}

std::string too_short(std::int64_t steps) {
  if (steps >= kFewSteps) return {};
  return fmt::format(
      "{} teach{} a model little: take more text, more passes (--train.epochs) or smaller steps (--train.batch)",
      steps == 1 ? "1 step" : fmt::format("{} steps", steps), steps == 1 ? "es" : "");
}

std::string too_long_warmup(const OptimConfig& config, std::int64_t steps) {
  if (config.warmup.percent || config.warmup.value < static_cast<double>(steps)) return {};
  return fmt::format(
      "the learning rate climbs for optim.warmup = {:.0f} steps, and the run has {}: it never gets to its peak (a share "
      "of the run is written 10%)",
      config.warmup.value, steps);
}

}  // namespace blalm
