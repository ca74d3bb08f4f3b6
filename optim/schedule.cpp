#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "engine/core/error.h"

namespace blalm {
namespace {

std::int64_t whole_steps(const Amount& amount, std::int64_t total, std::int64_t most) {
  return std::llround(std::clamp(amount.of(static_cast<double>(total)), 0.0, static_cast<double>(most)));
}

}  // namespace

double lr_at(std::int64_t step, std::int64_t total, const OptimConfig& config) {
  const double peak = config.lr;
  const bool open_end = total == 0 && config.schedule == ScheduleKind::constant && !config.warmup.percent;
  if (total < 1 && !open_end)
    throw ConfigError(expected_got("schedule", "1 step or more in total", std::to_string(total), "set optim.steps"));
  if (step < 0) throw ConfigError(expected_got("schedule", "a step of at least 0", std::to_string(step)));
  if (!open_end) step = std::min(step, total);

  const std::int64_t warmup = whole_steps(config.warmup, total, open_end ? std::int64_t{1} << 52 : total);
  if (step < warmup) return peak * (static_cast<double>(step) / static_cast<double>(warmup));

  // Share of [begin, total] that has passed. Nothing decays at `begin`, even where it is also the end.
  const auto passed = [&](std::int64_t begin) {
    return step <= begin ? 0.0 : static_cast<double>(step - begin) / static_cast<double>(total - begin);
  };
  // lerp is exact at both ends.
  const double floor = config.min_lr.of(peak);
  switch (config.schedule) {
    case ScheduleKind::constant: return peak;
    case ScheduleKind::linear: return peak * (1 - passed(warmup));
    case ScheduleKind::cosine: return std::lerp(floor, peak, 0.5 * (1 + std::cos(std::numbers::pi * passed(warmup))));
    case ScheduleKind::wsd: {
      const double x = passed(total - whole_steps(config.decay, total, total - warmup));
      return std::lerp(floor, peak, 1 - (config.wsd_shape == WsdShape::sqrt ? std::sqrt(x) : x));
    }
  }
  return peak;
}

}  // namespace blalm
