// Moving blocks between tensors: what concat, slice, split and repeat_heads and their gradients are made of.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/kernel.h"

namespace blalm::kernels {

// Where the blocks of one side lie, in elements.
struct Blocks {
  Tensor tensor;
  std::int64_t offset = 0;  // of the first block
  std::int64_t stride = 0;  // from one block to the next
};

// `count` blocks of `size` adjacent elements are copied, or added when `add`. Of one dtype (any), or bf16 to f32; the
// sides do not overlap.
struct CopyArgs {
  Blocks from, to;
  std::int64_t count, size;
  bool add = false;
};
extern const Kernel<CopyArgs> copy;

}  // namespace blalm::kernels
