#include "engine/core/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "engine/core/error.h"
#include "tests/support/threads.h"

namespace blalm {
TEST_CASE("ranges cover every item once, for any team") {
  for (const int team : {1, 2, 3, 5})
    for (const std::int64_t items : {0, 1, 2, 7, 1000}) {
      const test::Threads threads(team);
      std::vector<std::atomic<int>> hits(static_cast<std::size_t>(items));
      parallel_for(items, 1e6, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
      });
      for (const auto& h : hits) CHECK(h == 1);
    }
}

TEST_CASE("cheap work stays on the calling thread") {
  const test::Threads threads(4);
  int calls = 0;
  parallel_for(100, 1.0, [&](std::int64_t, std::int64_t) { ++calls; });
  CHECK(calls == 1);
  std::atomic<int> shares{0};
  {
    const ParallelFloor none(0);
    parallel_for(100, 1.0, [&](std::int64_t, std::int64_t) { ++shares; });
  }
  CHECK(shares == 4);
  parallel_for(100, 1.0, [&](std::int64_t, std::int64_t) { ++shares; });
  CHECK(shares == 5);
}

TEST_CASE("nested regions run serially") {
  const test::Threads threads(2);
  parallel_for(2, 1e6, [&](std::int64_t, std::int64_t) {
    int calls = 0;
    parallel_for(1000, 1e6, [&](std::int64_t, std::int64_t) { ++calls; });
    CHECK(calls == 1);
    CHECK(in_parallel());
  });
}

TEST_CASE("an exception on a worker reaches the caller") {
  const test::Threads threads(3);
  CHECK_THROWS_WITH_AS(parallel_for(30, 1e6,
                                    [](std::int64_t, std::int64_t end) {
                                      if (end == 30) throw DataError("from a worker");
                                    }),
                       "from a worker", DataError);
}

TEST_CASE("blocks do not depend on the number of threads") {
  const auto blocks = [](int team) {
    const test::Threads threads(team);
    std::vector<std::pair<std::int64_t, std::int64_t>> seen(4);
    parallel_blocks(100, 30, 1e6, [&](std::int64_t b, std::int64_t begin, std::int64_t end) {
      seen[static_cast<std::size_t>(b)] = {begin, end};
    });
    return seen;
  };
  CHECK(blocks(1) == blocks(3));
  CHECK(blocks(2)[3] == std::pair<std::int64_t, std::int64_t>{90, 100});
}

TEST_CASE("a team of none is refused") { CHECK_THROWS_AS(set_num_threads(0), ConfigError); }

}  // namespace blalm
