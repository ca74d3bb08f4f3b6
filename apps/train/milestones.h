// The amounts of text at which BabyLM looks at a model (spec §3.1): every million words seen up to 10M, every 10M up to
// 100M, every 100M from there on. Checkpoints there are named chck_1M, chck_2M, … chck_100M, ….
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace blalm {

// The first mark above `words` (0 or more).
std::int64_t next_milestone(std::int64_t words);
// The marks in (before, after], ascending: those that a step from `before` to `after` words seen has passed.
std::vector<std::int64_t> milestones_between(std::int64_t before, std::int64_t after);
// "chck_10M" for 10,000,000.
std::string milestone_name(std::int64_t words);

}  // namespace blalm
