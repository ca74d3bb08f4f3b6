#include "models/init.h"

#include "engine/core/parallel.h"

namespace blalm {

std::uint64_t stream_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

namespace init {
namespace {

// A tensor's elements as one axis.
Tensor flat(const Tensor& t) { return t.reshape({t.numel()}); }

}  // namespace

Init constant(double value) {
  return [value](const Rng&, const Tensor& t) { t.fill(value); };
}

Init normal(double stddev) {
  return [stddev](const Rng& rng, const Tensor& t) {
    // Each number takes four words of the stream, so that threads can start anywhere in it.
    constexpr std::uint64_t kWords = 4;
    parallel_for(t.numel(), 64, [&](std::int64_t begin, std::int64_t end) {
      Rng own = rng;
      own.set_position(kWords * static_cast<std::uint64_t>(begin));
      own.fill_normal(flat(t).rows(begin, end), 0, stddev);
    });
  };
}

Init uniform(double low, double high) {
  return [low, high](Rng rng, const Tensor& t) { rng.fill_uniform(t, low, high); };
}

Init linspace(double first, double last) {
  return [first, last](const Rng&, const Tensor& t) {
    const std::int64_t n = t.numel();
    for (std::int64_t i = 0; i < n; ++i) {
      const double share = n > 1 ? static_cast<double>(i) / static_cast<double>(n - 1) : 0;
      flat(t).rows(i, i + 1).fill(first + (last - first) * share);
    }
  };
}

Init identity() {
  return [](const Rng&, const Tensor& t) {
    const std::int64_t rows = t.dim(-2), columns = t.dim(-1);
    t.fill(0);
    for (std::int64_t i = 0; i < t.numel() / columns; ++i)
      if (const std::int64_t j = i % rows; j < columns) flat(t).rows(i * columns + j, i * columns + j + 1).fill(1);
  };
}

}  // namespace init
}  // namespace blalm
