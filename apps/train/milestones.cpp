#include "apps/train/milestones.h"

#include <fmt/format.h>

namespace blalm {
namespace {

constexpr std::int64_t kMillion = 1'000'000;

}  // namespace

std::int64_t next_milestone(std::int64_t words) {
  const std::int64_t step = words < 10 * kMillion ? kMillion : words < 100 * kMillion ? 10 * kMillion : 100 * kMillion;
  return (words / step + 1) * step;
}

std::vector<std::int64_t> milestones_between(std::int64_t before, std::int64_t after) {
  std::vector<std::int64_t> marks;
  for (std::int64_t mark = next_milestone(before); mark <= after; mark = next_milestone(mark)) marks.push_back(mark);
  return marks;
}

std::string milestone_name(std::int64_t words) { return fmt::format("chck_{}M", words / kMillion); }

}  // namespace blalm
