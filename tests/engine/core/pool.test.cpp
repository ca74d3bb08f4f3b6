#include "engine/core/pool.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "engine/core/tensor.h"

namespace blalm {

TEST_CASE("a place in the source is written with its folder and without") {
  const Location here{"engine/ops/linear.cpp", 42}, bare{"main.cpp", 7};
  CHECK(here.str() == "engine/ops/linear.cpp:42");
  CHECK(here.short_str() == "linear.cpp:42");
  CHECK(bare.str() == "main.cpp:7");
  CHECK(bare.short_str() == "main.cpp:7");
}

TEST_CASE("a repeated pattern of allocations asks the system for nothing new") {
  const auto step = [] {
    std::vector<Tensor> kept;
    for (std::int64_t n = 1; n < 200000; n = n * 3 + 1) {
      kept.push_back(Tensor::empty({n}));
      const Tensor temporary = Tensor::empty({n, 2});
    }
  };
  step();
  const auto before = Pool::instance().stats();
  for (int i = 0; i < 3; ++i) step();
  const auto after = Pool::instance().stats();
  CHECK(after.system_allocations == before.system_allocations);
  CHECK(after.reuses > before.reuses);
  CHECK(after.live_bytes == before.live_bytes);
}

TEST_CASE("blocks are aligned and size classes waste at most an eighth") {
  for (std::size_t bytes = 1; bytes < (std::size_t{1} << 34); bytes = bytes * 5 / 3 + 1) {
    const std::size_t usable = Pool::size_class(bytes);
    CHECK(usable >= bytes);
    if (bytes > 1024) CHECK(static_cast<double>(usable) <= 1.125 * static_cast<double>(bytes) + 64);
    CHECK(Pool::size_class(usable) == usable);
  }
  for (const std::int64_t n : {1, 100, 5000, 1000000}) {
    const Tensor t = Tensor::empty({n});
    CHECK(reinterpret_cast<std::uintptr_t>(t.raw()) % 64 == 0);
  }
}

TEST_CASE("the peak follows what lives at the same time") {
  Pool::instance().reset_peak();
  const auto base = Pool::instance().stats().live_bytes;
  { const Tensor a = Tensor::empty({1 << 20}), b = Tensor::empty({1 << 20}); }
  { const Tensor c = Tensor::empty({1 << 20}); }
  const auto stats = Pool::instance().stats();
  CHECK(stats.peak_live_bytes - base == 2 * (4 << 20));
  CHECK(stats.live_bytes == base);
}

TEST_CASE("trim gives back what is cached") {
  { const Tensor t = Tensor::empty({1 << 20}); }
  CHECK(Pool::instance().stats().cached_bytes > 0);
  Pool::instance().trim();
  CHECK(Pool::instance().stats().cached_bytes == 0);
}

TEST_CASE("blocks that were trimmed can be had again, and none overlaps another") {
  const auto fill = [] {
    std::vector<Tensor> tensors;
    for (const std::int64_t n : {1, 17, 1000, 5000, 1 << 16, 700000, 9 << 20}) {
      tensors.push_back(Tensor::empty({n}));
      tensors.back().fill(static_cast<double>(n));
    }
    for (const Tensor& t : tensors) {
      const auto values = t.values<float>();
      const float n = static_cast<float>(t.numel());
      CHECK(std::all_of(values.begin(), values.end(), [n](float v) { return v == n; }));
    }
  };
  fill();
  Pool::instance().trim();
  fill();
}

TEST_CASE("poisoned blocks read as NaN in every floating dtype") {
  Pool::instance().set_poison(true);
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64, DType::c128}) {
    const Tensor t = Tensor::empty({5}, dtype);
    for (int i = 0; i < 5; ++i) CHECK(std::isnan(t.at(i)));
  }
  Pool::instance().set_poison(false);
}

}  // namespace blalm
