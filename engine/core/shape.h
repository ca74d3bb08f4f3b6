// The dimensions of a tensor: up to kMaxRank sizes, held in place.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace blalm {

inline constexpr int kMaxRank = 6;

class Shape {
 public:
  Shape() = default;                                // rank 0: a single number
  Shape(std::initializer_list<std::int64_t> dims);  // throws ShapeError if rank > kMaxRank or a size < 0
  explicit Shape(std::span<const std::int64_t> dims);

  int rank() const { return rank_; }
  // Size of an axis; a negative axis counts from the end. Throws ShapeError when out of range.
  std::int64_t dim(int axis) const;
  std::int64_t operator[](int axis) const {
    assert(axis >= 0 && axis < rank_);
    return dims_[static_cast<std::size_t>(axis)];
  }
  // Product of all sizes; construction has made sure that it fits.
  std::int64_t numel() const;
  // Axis counted from the front, for a possibly negative one.
  int axis(int possibly_negative) const;

  Shape with(int axis, std::int64_t size) const;           // one size replaced
  Shape without(int axis) const;                           // one axis removed
  Shape with_inserted(int axis, std::int64_t size) const;  // one axis added before `axis`

  std::span<const std::int64_t> dims() const { return {dims_.data(), static_cast<std::size_t>(rank_)}; }
  bool operator==(const Shape& other) const;
  std::string str() const;  // "[2, 64, 768]"

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

// Shape of a NumPy-style broadcast of two shapes. Throws ShapeError, tagged with `op`, when they do not fit.
Shape broadcast(const char* op, const Shape& a, const Shape& b);

}  // namespace blalm
