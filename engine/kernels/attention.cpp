#include "engine/kernels/attention.h"

namespace blalm::kernels {
namespace {

// 1 + 2 + … + n; 0 for n <= 0.
std::int64_t sum_to(std::int64_t n) { return n <= 0 ? 0 : n * (n + 1) / 2; }

}  // namespace

std::int64_t visible_pairs(const Band& band, std::int64_t first, std::int64_t queries) {
  // Of the n keys up to its own position, a query sees all but those between the memory and the window: n - width.
  const std::int64_t last = first + queries, width = band.window + band.memory;
  const std::int64_t hidden = band.window == 0 ? 0 : sum_to(last - width) - sum_to(first - width);
  return sum_to(last) - sum_to(first) - hidden;
}

}  // namespace blalm::kernels
