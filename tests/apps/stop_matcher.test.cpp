#include "apps/common/generation/stop_matcher.h"

#include <doctest/doctest.h>

#include "apps/generate/ordered_output.h"
#include "engine/core/rng.h"

namespace blalm {

TEST_CASE("text up to the first stop string comes out, in whatever pieces it goes in") {
  const std::vector<std::string> stops = {"aab", "ba", "abab"};
  Rng rng(4);
  int stopped = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::uint64_t n = rng.below(12); n > 0; --n) text += "abc"[rng.below(3)];
    // The shortest beginning that ends with a stop string; of two that end there, the longer one.
    std::size_t end = std::string::npos;
    for (std::size_t n = 1; n <= text.size() && end == std::string::npos; ++n)
      for (const std::string& stop : stops)
        if (text.substr(0, n).ends_with(stop)) end = std::min(end, n - stop.size());
    StopMatcher matcher(stops);
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = 1 + rng.below(3);
      out += matcher.push(std::string_view(text).substr(at, n));
      at += n;
      // What is out is certain: no stop string may begin in it.
      REQUIRE(out.size() <= std::min(end, text.size()));
      if (matcher.stopped()) break;
    }
    out += matcher.finish();
    CAPTURE(text);
    CHECK(out == text.substr(0, end));
    CHECK(matcher.stopped() == (end != std::string::npos));
    stopped += matcher.stopped() ? 1 : 0;
  }
  CHECK(stopped > 300);
  CHECK(stopped < 1900);
}

TEST_CASE("nothing is held back that cannot become a stop string") {
  StopMatcher matcher({"\n\n"});
  CHECK(matcher.push("one\n") == "one");
  CHECK(matcher.push("two") == "\ntwo");
  CHECK(matcher.push("\n") == "");
  CHECK(matcher.finish() == "\n");
  StopMatcher none({});
  CHECK(none.push("abc") == "abc");
}

TEST_CASE("texts that grow together are shown one after another") {
  std::string shown;
  OrderedOutput output(3, true, [&](std::string_view text) { shown += text; });
  output.add(1, "b");
  output.add(0, "a");
  CHECK(shown == "a");
  output.end(1);
  output.add(2, "c");
  CHECK(shown == "a");
  output.end(0);
  CHECK(shown == "abc");
  output.add(2, "d");
  CHECK(shown == "abcd");

  shown.clear();
  OrderedOutput whole(2, false, [&](std::string_view text) { shown += text; });
  whole.add(0, "a");
  whole.add(1, "b");
  whole.end(1);
  CHECK(shown.empty());
  whole.end(0);
  CHECK(shown == "ab");
}

}  // namespace blalm
