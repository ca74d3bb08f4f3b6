#include "engine/core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "engine/core/error.h"

namespace blalm {

Shape::Shape(std::initializer_list<std::int64_t> dims)
    : Shape(std::span<const std::int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) {
  if (dims.size() > kMaxRank)
    throw ShapeError(expected_got("shape", fmt::format("at most {} axes", kMaxRank), fmt::format("{}", dims.size())));
  std::int64_t numel = 1;
  for (std::int64_t d : dims) {
    if (d < 0)
      throw ShapeError(expected_got("shape", "sizes of 0 or more", fmt::format("[{}]", fmt::join(dims, ", "))));
    if (__builtin_mul_overflow(numel, d, &numel))
      throw ShapeError(expected_got("shape", "fewer than 2^63 elements", fmt::format("[{}]", fmt::join(dims, ", "))));
    dims_[static_cast<std::size_t>(rank_++)] = d;
  }
}

int Shape::axis(int a) const {
  const int positive = a < 0 ? a + rank_ : a;
  if (positive < 0 || positive >= rank_)
    throw ShapeError(
        expected_got("shape", fmt::format("an axis in [{}, {})", -rank_, rank_), fmt::format("{} of {}", a, str())));
  return positive;
}

std::int64_t Shape::dim(int a) const { return dims_[static_cast<std::size_t>(axis(a))]; }

std::int64_t Shape::numel() const {
  std::int64_t n = 1;
  for (std::int64_t d : dims()) n *= d;
  return n;
}

Shape Shape::with(int a, std::int64_t size) const {
  Shape s = *this;
  s.dims_[static_cast<std::size_t>(axis(a))] = size;
  return Shape(s.dims());
}

Shape Shape::without(int a) const {
  const int skip = axis(a);
  Shape s;
  for (int i = 0; i < rank_; ++i)
    if (i != skip) s.dims_[static_cast<std::size_t>(s.rank_++)] = (*this)[i];
  return s;
}

Shape Shape::with_inserted(int a, std::int64_t size) const {
  std::array<std::int64_t, kMaxRank + 1> d{};
  const int at = a < 0 ? a + rank_ + 1 : a;
  for (int i = 0, j = 0; i <= rank_; ++i) d[static_cast<std::size_t>(i)] = i == at ? size : (*this)[j++];
  return Shape(std::span<const std::int64_t>(d.data(), static_cast<std::size_t>(rank_) + 1));
}

bool Shape::operator==(const Shape& other) const { return std::ranges::equal(dims(), other.dims()); }

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(dims(), ", ")); }

Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::array<std::int64_t, kMaxRank> d{};
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const std::int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    if (da != db && da != 1 && db != 1)
      throw ShapeError(expected_got(op, "shapes that broadcast", a.str() + " and " + b.str()));
    d[static_cast<std::size_t>(i)] = da == 1 ? db : da;
  }
  return Shape(std::span<const std::int64_t>(d.data(), static_cast<std::size_t>(rank)));
}

}  // namespace blalm
