// What oneDNN's matmul can do at its best for the products of a linear layer: a yardstick, which no operation runs.
#pragma once

#include <string>
#include <vector>

#include "blalm/core/tensor.h"
#include "blalm/kernels/kernel.h"

namespace blalm::kernels::onednn {

enum class LinearProduct {
  forward,          // y [rows, out] = x Wᵀ
  input_gradient,   // dx [rows, in] = dy W
  weight_gradient,  // dW [out, in] = dyᵀ x
};

// A product of y = x Wᵀ with x [rows, in] and W [out, in].
struct LinearShape {
  LinearProduct product = LinearProduct::forward;
  std::int64_t rows = 0, in = 0, out = 0;
  DType operand = DType::f32;  // f32 or bf16
  DType result = DType::f32;   // f32, or the operands'

  double flops() const { return 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out); }
  bool operator==(const LinearShape&) const = default;
};

// Why there is nothing to measure, or nullptr.
Reason best_matmul_unavailable(DType operand);

// Seconds of each of `repeats` runs after one that is not counted, on num_threads() threads. The weight lies in the
// layout that oneDNN likes best (format_tag::any), packed beforehand; activations and their gradients lie row by row,
// as a step has them.
std::vector<double> time_best_matmul(const LinearShape& shape, std::int64_t repeats);

std::string version();  // "2.6.3"; empty when built without

}  // namespace blalm::kernels::onednn
