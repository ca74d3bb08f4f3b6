#include "apps/train/milestones.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

namespace blalm {

TEST_CASE("milestones are BabyLM's") {
  std::vector<std::string> names;
  for (const std::int64_t mark : milestones_between(0, 1'000'000'000)) names.push_back(milestone_name(mark));
  std::vector<std::string> expected;
  for (int m = 1; m <= 10; ++m) expected.push_back(fmt::format("chck_{}M", m));
  for (int m = 20; m <= 100; m += 10) expected.push_back(fmt::format("chck_{}M", m));
  for (int m = 200; m <= 1000; m += 100) expected.push_back(fmt::format("chck_{}M", m));
  CHECK(names == expected);
  CHECK(next_milestone(0) == 1'000'000);
  CHECK(next_milestone(999'999) == 1'000'000);
  CHECK(next_milestone(1'000'000) == 2'000'000);
  CHECK(next_milestone(10'000'000) == 20'000'000);
  CHECK(next_milestone(99'999'999) == 100'000'000);
  CHECK(next_milestone(1'000'000'000) == 1'100'000'000);
  CHECK(milestones_between(1'000'000, 1'999'999).empty());
  CHECK(milestones_between(999'999, 2'000'000) == std::vector<std::int64_t>{1'000'000, 2'000'000});
}

}  // namespace blalm
