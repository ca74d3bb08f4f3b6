#include "apps/train/remaining_time.h"

#include <limits>

namespace blalm {

void RemainingTime::add_step(double seconds, std::int64_t sequences) {
  // Recent steps tell more than those long ago: about the last hundred count.
  constexpr double kKept = 0.99;
  steps_.seconds = kKept * steps_.seconds + seconds;
  steps_.items = kKept * steps_.items + static_cast<double>(sequences);
}

void RemainingTime::add_validation(double seconds, std::int64_t blocks) {
  validations_.seconds += seconds;
  validations_.items += static_cast<double>(blocks);
}

double RemainingTime::seconds(std::int64_t steps, std::int64_t sequences, std::int64_t blocks) const {
  if (steps_.items == 0) return std::numeric_limits<double>::infinity();
  const double block = validations_.items > 0 ? validations_.each() : steps_.each() / 3;
  return static_cast<double>(steps * sequences) * steps_.each() + static_cast<double>(blocks) * block;
}

}  // namespace blalm
