// The global gradient norm, and which gradient is not finite.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/parameter.h"
#include "optim/partition.h"

namespace blalm {

class GradientNorm {
 public:
  // Parameters must outlive this and keep their shapes.
  explicit GradientNorm(std::span<Parameter* const> parameters);

  struct Result {
    double norm = 0;                        // √Σ g² over all parameters that have a gradient
    const Parameter* non_finite = nullptr;  // the first whose gradient holds NaN or infinity; then norm is neither
  };
  // One parallel pass with sums in double: the same bits on any number of threads. A gradient in double whose square
  // overflows counts as not finite. ShapeError when a gradient does not match its parameter in shape or dtype.
  Result measure();

  // ‖g‖ of each parameter at the last measure(), in the order of construction; 0 without a gradient.
  std::span<const double> norms() const { return norms_; }

 private:
  std::vector<Parameter*> parameters_;
  Partition partition_;
  std::vector<double> sums_;   // a stretch each
  std::vector<double> norms_;  // a parameter each
};

}  // namespace blalm
