// Rotary positions, half-split (spec §4.4). x [B, T, H, D]; row t stands at position start + t. For j < D/2, with
// φ = (start + t) θ^(-2j/D):
//   y_j = x_j cos φ - x_{j+D/2} sin φ      y_{j+D/2} = x_{j+D/2} cos φ + x_j sin φ
// dx is dy turned by -φ.
#include "engine/kernels/rope.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <mutex>
#include <vector>

#include "engine/autograd/op.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {
namespace {

// Cosines, then sines, of the angles of positions [start, start + steps): [steps, width], worked out in f64.
Tensor make_table(double theta, std::int64_t start, std::int64_t steps, std::int64_t width, DType dtype) {
  Tensor table = Tensor::empty({steps, width}, dtype);
  void* out = table.mutable_raw();
  const std::int64_t half = width / 2;
  std::vector<double> frequency(static_cast<std::size_t>(half));
  for (std::int64_t j = 0; j < half; ++j)
    frequency[static_cast<std::size_t>(j)] =
        std::pow(theta, -2.0 * static_cast<double>(j) / static_cast<double>(width));
  const auto put = [&](std::int64_t at, double value) {
    if (dtype == DType::f64)
      static_cast<double*>(out)[at] = value;
    else
      static_cast<float*>(out)[at] = static_cast<float>(value);
  };
  parallel_for(steps, 50.0 * static_cast<double>(width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      for (std::int64_t j = 0; j < half; ++j) {
        const double angle = static_cast<double>(start + t) * frequency[static_cast<std::size_t>(j)];
        put(t * width + j, std::cos(angle));
        put(t * width + half + j, std::sin(angle));
      }
  });
  return table;
}

// Tables are kept: a layer would spend more time on sines than on rotating. One for each (theta, width, dtype), from
// position 0 on, doubled when it grows too short.
class TableCache {
 public:
  Tensor get(double theta, std::int64_t start, std::int64_t steps, std::int64_t width, DType dtype) {
    if (start + steps > kMostSteps) return make_table(theta, start, steps, width, dtype);
    std::lock_guard lock(mutex_);
    auto entry = std::ranges::find_if(entries_, [&](const Entry& e) {
      return e.theta == theta && e.table.dim(1) == width && e.table.dtype() == dtype;
    });
    if (entry == entries_.end()) {
      if (entries_.size() == kMostEntries) entries_.erase(entries_.begin());
      entry = entries_.insert(entries_.end(), {theta, Tensor::empty({0, width}, dtype)});
    }
    if (entry->table.dim(0) < start + steps) {
      const std::int64_t length = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(start + steps)));
      entry->table = make_table(theta, 0, length, width, dtype);
    }
    return entry->table.rows(start, start + steps);
  }

 private:
  static constexpr std::int64_t kMostSteps = 1 << 16;
  static constexpr std::size_t kMostEntries = 8;
  struct Entry {
    double theta;
    Tensor table;
  };
  std::mutex mutex_;
  std::vector<Entry> entries_;
};

// For x [B, T, H, D].
Tensor table_for(const Shape& shape, DType dtype, double theta, std::int64_t start) {
  static TableCache* cache = new TableCache;  // never destroyed: tensors of other static objects may outlive it
  const bool wide = dtype == DType::f64 || dtype == DType::c128;
  return cache->get(theta, start, shape[1], shape[3], wide ? DType::f64 : DType::f32);
}

Tensor rotated(const Tensor& x, double theta, std::int64_t start, bool inverse,
               std::string_view* implementation = nullptr) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  const std::string_view name = kernels::rope({x, table_for(x.shape(), x.dtype(), theta, start), y, inverse});
  if (implementation != nullptr) *implementation = name;
  return y;
}

}  // namespace

Var rope(const Var& x, double theta, std::int64_t start, Where where) {
  check_rank("rope", "x", x, 4);
  if (x.dim(3) % 2 != 0) fail("rope", "x [B, T, H, D] with D even", x.value().str());
  if (!(theta > 0)) throw ConfigError(expected_got("rope", "theta above 0", fmt::format("{}", theta)));
  if (start < 0) throw ConfigError(expected_got("rope", "a start of 0 or more", fmt::format("{}", start)));
  if (kernel_policy().composed) return composed::rope(x, theta, start);

  Op op("rope", {x}, where);
  std::string_view implementation;
  Tensor y = rotated(x.value(), theta, start, false, &implementation);
  op.ran(implementation);
  op.flops(3.0 * static_cast<double>(y.numel()));
  return op.finish(y, {}, [theta, start](Backward& back) { back.give(0, rotated(back.dout(), theta, start, true)); });
}

Var composed::rope(const Var& x, double theta, std::int64_t start) {
  const std::int64_t T = x.dim(1), half = x.dim(3) / 2;
  const Tensor table = make_table(theta, start, T, x.dim(3), DType::f64);
  const auto half_of_table = [&](std::int64_t begin) {  // [T, 1, D/2]
    const Tensor part = slice(table, 1, begin, begin + half).value();
    return Var(part.reshape({T, 1, half}).to(compute_dtype(x.dtype())));
  };
  const Var cosine = half_of_table(0), sine = half_of_table(half);
  const Var p = ops::slice(x, 3, 0, half), q = ops::slice(x, 3, half, 2 * half);
  const Var parts[] = {ops::sub(ops::mul(p, cosine), ops::mul(q, sine)),
                       ops::add(ops::mul(q, cosine), ops::mul(p, sine))};
  return ops::cast(ops::concat(parts, 3), x.dtype());
}

}  // namespace blalm::ops
