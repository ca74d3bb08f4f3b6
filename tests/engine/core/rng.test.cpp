#include "engine/core/rng.h"

#include <doctest/doctest.h>

#include <cmath>

namespace blalm {

// The known answers published with Philox (Salmon et al., Random123, kat_vectors).
TEST_CASE("Philox 4x32-10 gives the published words") {
  CHECK(philox({0, 0, 0, 0}, 0) == std::array<std::uint32_t, 4>{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U});
  CHECK(philox({0xffffffffU, 0xffffffffU, 0xffffffffU, 0xffffffffU}, 0xffffffffffffffffULL) ==
        std::array<std::uint32_t, 4>{0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU});
}

TEST_CASE("a position is restored by setting it") {
  Rng a(5, 2);
  for (int i = 0; i < 13; ++i) a.next_u32();
  Rng b(5, 2);
  b.set_position(a.position());
  for (int i = 0; i < 9; ++i) CHECK(a.next_u32() == b.next_u32());
}

TEST_CASE("streams and seeds are independent") {
  CHECK(Rng(1, 0).next_u64() != Rng(1, 1).next_u64());
  CHECK(Rng(1, 0).next_u64() != Rng(2, 0).next_u64());
}

TEST_CASE("moments of uniform and normal numbers") {
  Rng rng(11);
  const Tensor u = Tensor::empty({200000}), z = Tensor::empty({200000});
  rng.fill_uniform(u, -1, 3);
  rng.fill_normal(z, 2, 0.5);
  double mean_u = 0, mean_z = 0, var_z = 0;
  for (std::int64_t i = 0; i < u.numel(); ++i) {
    CHECK_UNARY(u.at(i) >= -1 && u.at(i) <= 3);
    mean_u += u.at(i) / 200000;
    mean_z += z.at(i) / 200000;
    var_z += (z.at(i) - 2) * (z.at(i) - 2) / 200000;
  }
  CHECK(mean_u == doctest::Approx(1).epsilon(0.02));
  CHECK(mean_z == doctest::Approx(2).epsilon(0.01));
  CHECK(std::sqrt(var_z) == doctest::Approx(0.5).epsilon(0.01));
}

TEST_CASE("below() reaches every value of its range and no other") {
  Rng rng(3);
  int counts[7] = {};
  for (int i = 0; i < 7000; ++i) ++counts[rng.below(7)];
  for (const int c : counts) CHECK(c == doctest::Approx(1000).epsilon(0.15));
  CHECK(rng.below(1) == 0);
}

}  // namespace blalm
