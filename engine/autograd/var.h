// A tensor that may stand on a tape. A Var without a tape is a constant; any Tensor converts to one.
#pragma once

#include <utility>

#include "engine/core/tensor.h"

namespace blalm {

class Tape;

using ValueId = std::int32_t;
inline constexpr ValueId kConstant = -1;

class Var {
 public:
  Var() = default;
  Var(Tensor constant) : value_(std::move(constant)) {}  // NOLINT: the conversion is wanted

  const Tensor& value() const { return value_; }
  bool defined() const { return value_.defined(); }
  const Shape& shape() const { return value_.shape(); }
  std::int64_t dim(int axis) const { return value_.dim(axis); }
  int rank() const { return value_.rank(); }
  DType dtype() const { return value_.dtype(); }

  // True when the tape follows this value and backward will bring it a gradient.
  bool requires_grad() const { return id_ != kConstant; }
  Tape* tape() const { return tape_; }
  ValueId id() const { return id_; }
  // The same numbers, cut off from the tape.
  Var detach() const { return Var(value_); }

 private:
  friend class Tape;
  Var(Tensor value, Tape* tape, ValueId id, std::uint32_t generation)
      : value_(std::move(value)), tape_(tape), id_(id), generation_(generation) {}

  Tensor value_;
  Tape* tape_ = nullptr;
  ValueId id_ = kConstant;
  std::uint32_t generation_ = 0;
};

}  // namespace blalm
