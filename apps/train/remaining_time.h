// How long a run still takes: steps and validations are counted apart, for a validation before the first step says
// nothing of the steps.
#pragma once

#include <cstdint>

namespace blalm {

class RemainingTime {
 public:
  // What a step of `sequences` and a validation of `blocks` took.
  void add_step(double seconds, std::int64_t sequences);
  void add_validation(double seconds, std::int64_t blocks);

  // Of so many steps and held-out blocks that are left. Blocks count as a third of a sequence of a step until a
  // validation was measured. Infinite before the first step.
  double seconds(std::int64_t steps, std::int64_t sequences, std::int64_t blocks) const;

 private:
  struct Rate {
    double seconds = 0, items = 0;
    double each() const { return seconds / items; }
  };
  Rate steps_, validations_;
};

}  // namespace blalm
