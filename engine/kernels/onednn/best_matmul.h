// What oneDNN's matmul can do at its best for the products of a linear layer: a yardstick, which no operation runs.
#pragma once

#include <memory>
#include <string>

#include "engine/core/dtype.h"
#include "engine/kernels/kernel.h"

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

// One such product, ready to run. The weight lies in the layout that oneDNN likes best (format_tag::any), packed
// beforehand; activations and their gradients lie row by row, as a step has them. Memory is not the pool's, so that a
// step running in between finds the pool as it left it.
class BestMatmul {
 public:
  // For the present number of threads. Throws ConfigError where there is nothing to measure.
  explicit BestMatmul(const LinearShape& shape);
  BestMatmul(BestMatmul&&) noexcept;
  ~BestMatmul();

  double run();  // returns how many seconds it took

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

std::string version();  // "2.6.3"; empty when built without

}  // namespace blalm::kernels::onednn
