#include "apps/train/validation_plan.h"

#include <algorithm>
#include <cmath>

namespace blalm {
namespace {

constexpr double kMostOfRun = 0.1;         // validations may cost so much of the training
constexpr double kForwardOfStep = 1. / 3;  // forward passes are a third of a step

// Multiples of the interval up to `step`.
double intervals(std::int64_t step, std::int64_t total, const Amount& every) {
  const double interval = std::max(every.of(static_cast<double>(total)), 1.0);
  return std::floor(static_cast<double>(step) / interval);
}

}  // namespace

bool due_at(std::int64_t step, std::int64_t total, const Amount& every) {
  if (step >= total) return true;
  return every.value > 0 && intervals(step, total, every) > intervals(step - 1, total, every);
}

std::int64_t due_after(std::int64_t step, std::int64_t total, const Amount& every) {
  if (step >= total) return 0;
  if (every.value <= 0) return 1;
  const double before_end = intervals(total - 1, total, every) - intervals(step, total, every);
  return 1 + static_cast<std::int64_t>(before_end);  // a multiple at the end is the end
}

double ValidationPlan::cost(std::int64_t training_blocks) const {
  const double measured =
      static_cast<double>(sample) * static_cast<double>(validations - 1) + static_cast<double>(last);
  return kForwardOfStep * measured / std::max(static_cast<double>(training_blocks), 1.0);
}

ValidationPlan plan_validations(std::int64_t total, std::int64_t batch, std::int64_t micro_batch, std::int64_t blocks,
                                const Amount& every, const Auto<std::int64_t>& valid_blocks) {
  ValidationPlan plan;
  plan.blocks = blocks;
  plan.validations = 1 + due_after(0, total, every);
  if (!valid_blocks.automatic) {
    plan.sample = plan.last = valid_blocks == 0 ? blocks : std::min<std::int64_t>(valid_blocks, blocks);
    return plan;
  }
  // In blocks of forward passes.
  const double affordable = kMostOfRun / kForwardOfStep * static_cast<double>(total) * static_cast<double>(batch);
  const auto others = static_cast<double>(plan.validations - 1);
  const bool whole_at_end = static_cast<double>(blocks) + others * static_cast<double>(micro_batch) <= affordable;
  const auto down = [&](double x) {  // to a multiple of the micro-batch
    return std::max(static_cast<std::int64_t>(x) / micro_batch, std::int64_t{1}) * micro_batch;
  };
  plan.last = whole_at_end ? blocks : std::min(down(affordable / 2), blocks);
  const double left = affordable - static_cast<double>(plan.last);
  plan.sample = std::min(down(left / std::max(others, 1.0)), plan.last);
  return plan;
}

}  // namespace blalm
