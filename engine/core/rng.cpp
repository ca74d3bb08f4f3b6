#include "engine/core/rng.h"

#include <cmath>
#include <numbers>

namespace blalm {
namespace {

template <class Draw>
void fill(const Tensor& t, Draw&& draw) {
  void* p = t.mutable_raw();
  visit_floating(t.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = static_cast<T*>(p);
    for (std::int64_t i = 0; i < t.numel(); ++i) {
      const double x = draw();
      if constexpr (std::is_same_v<T, Complex>)
        out[i] = x;
      else
        out[i] = static_cast<T>(static_cast<Compute<T>>(x));
    }
  });
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::uint64_t key) {
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c[0], p1 = std::uint64_t{0xCD9E8D57U} * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return c;
}

std::array<std::uint32_t, 4> Rng::words(std::uint64_t index) const {
  return philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                 static_cast<std::uint32_t>(stream_), static_cast<std::uint32_t>(stream_ >> 32)},
                seed_);
}

std::uint32_t Rng::next_u32() {
  const std::uint32_t word = words(position_ / 4)[position_ % 4];
  ++position_;
  return word;
}

double Rng::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1.0p-53; }

double Rng::normal() {
  // Box-Muller; 1 - u lies in (0, 1], so the logarithm is finite.
  const double u = 1.0 - uniform(), v = uniform();
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

std::uint64_t Rng::below(std::uint64_t bound) {
  // Rejects the few values that would favour small results.
  const std::uint64_t limit = ~std::uint64_t{0} - ~std::uint64_t{0} % bound;
  for (;;)
    if (const std::uint64_t x = next_u64(); x < limit) return x % bound;
}

void Rng::fill_uniform(const Tensor& t, double low, double high) {
  fill(t, [&] { return low + (high - low) * uniform(); });
}

void Rng::fill_normal(const Tensor& t, double mean, double stddev) {
  fill(t, [&] { return mean + stddev * normal(); });
}

}  // namespace blalm
