#include "apps/common/progress.h"

#include <doctest/doctest.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <limits>
#include <thread>

#include "apps/common/wrap.h"

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

TEST_CASE("on a terminal something moves while nothing is told") {
  int terminal = -1;
  const winsize size{24, 60, 0, 0};
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  REQUIRE(child >= 0);
  if (child == 0) {
    {
      Progress progress;
      progress.update("step 1/9", 1, 9);
      progress.line("a line that stays");  // what stood on the redrawn line comes back
      std::this_thread::sleep_for(std::chrono::milliseconds(3500));
      progress.clear();
      std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // nothing stands there any more
    }
    _exit(0);
  }
  std::string shown;
  std::array<char, 256> buffer{};
  for (ssize_t n = 0; (n = read(terminal, buffer.data(), buffer.size())) > 0;)
    shown.append(buffer.data(), static_cast<std::size_t>(n));
  close(terminal);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
  CHECK_MESSAGE(shown.find("a line that stays\r\n\r\x1b[K[==                  ] step 1/9  (2 s)") != shown.npos, shown);
  CHECK_MESSAGE(shown.ends_with("\r\x1b[K"), shown);
}

}  // namespace blalm
