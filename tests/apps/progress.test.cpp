#include "blalm/apps/common/progress.h"

#include <doctest/doctest.h>

#include <limits>

#include "blalm/apps/common/wrap.h"

namespace blalm {

TEST_CASE("counts and times are short, or whole with commas") {
  CHECK(human_count(0) == "0");
  CHECK(human_count(999) == "999");
  CHECK(human_count(1234) == "1.23k");
  CHECK(human_count(99'960) == "100k");
  CHECK(human_count(9'985'132) == "9.99M");
  CHECK(human_count(15'990'777) == "16.0M");
  CHECK(human_count(1.4e9) == "1.40G");
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(-999) == "-999");
  CHECK(grouped(1'234'567) == "1,234,567");
  CHECK(human_time(3.21) == "3.2 s");
  CHECK(human_time(59.4) == "59 s");
  CHECK(human_time(187) == "3:07");
  CHECK(human_time(8130) == "2:15:30");
  CHECK(human_time(std::numeric_limits<double>::infinity()) == "-");
  CHECK(human_time(-1) == "-");
}

TEST_CASE("on a narrow terminal the parts of the largest rank go first") {
  const std::vector<ProgressPart> parts = {
      {"step 5/90"}, {"epoch 1.25", 3}, {"loss 3.1"}, {"norm 1.2", 1}, {"lr 1e-3", 2}};
  CHECK(fit(parts, 100) == "step 5/90  epoch 1.25  loss 3.1  norm 1.2  lr 1e-3");
  CHECK(fit(parts, 50) == "step 5/90  epoch 1.25  loss 3.1  norm 1.2  lr 1e-3");
  CHECK(fit(parts, 49) == "step 5/90  loss 3.1  norm 1.2  lr 1e-3");
  CHECK(fit(parts, 30) == "step 5/90  loss 3.1  norm 1.2");
  CHECK(fit(parts, 28) == "step 5/90  loss 3.1");
  CHECK(fit(parts, 12) == "step 5/90  l");
  CHECK(fit({}, 10).empty());
}

TEST_CASE("text is broken between words") {
  CHECK(wrapped("").empty());
  CHECK(wrapped("one two three", 0, 7) == "one two\nthree");
  CHECK(wrapped("one two three", 2, 7) == "one\n  two\n  three");
  CHECK(wrapped("one two three", 2, 9) == "one two\n  three");
  CHECK(wrapped("incomprehensible one", 0, 5) == "incomprehensible\none");
}

}  // namespace blalm
