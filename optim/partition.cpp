#include "optim/partition.h"

#include <algorithm>
#include <array>

namespace blalm {
namespace {

constexpr std::int64_t kShare = 16384;  // elements: 64 KiB of f32, and half a megabyte moved by AdamW
constexpr std::int64_t kAlign = 16;     // stretches begin at a cache line of f32

// Eight independent sums, which the compiler keeps in one vector register: it may not reorder a single one.
constexpr std::int64_t kLanes = 8;

template <class T>
double squares(const T* x, std::int64_t n) {
  std::array<std::array<double, kLanes>, 4> sums{};
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (std::size_t r = 0; r < 4; ++r)
      for (std::size_t j = 0; j < kLanes; ++j) {
        const double value = x[i + static_cast<std::int64_t>(r * kLanes + j)];
        sums[r][j] += value * value;
      }
  }
  double sum = 0;
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  for (std::size_t j = 0; j < kLanes; ++j) sum += (sums[0][j] + sums[1][j]) + (sums[2][j] + sums[3][j]);
  return sum;
}

}  // namespace

Partition::Partition(std::span<const std::int64_t> sizes) {
  starts_.push_back(0);
  std::int64_t room = kShare;
  for (std::size_t tensor = 0; tensor < sizes.size(); ++tensor) {
    elements_ += sizes[tensor];
    for (std::int64_t begin = 0; begin < sizes[tensor];) {
      const std::int64_t end = std::min(sizes[tensor], begin + room);
      stretches_.push_back({tensor, begin, end});
      room = (room - (end - begin)) / kAlign * kAlign;
      if (room == 0) {
        starts_.push_back(stretches_.size());
        room = kShare;
      }
      begin = end;
    }
  }
  if (starts_.back() != stretches_.size()) starts_.push_back(stretches_.size());
}

double sum_of_squares(const float* x, std::int64_t n) { return squares(x, n); }
double sum_of_squares(const double* x, std::int64_t n) { return squares(x, n); }
double sum_of_squares(const BFloat16* x, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace blalm
