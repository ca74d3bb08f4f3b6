// A trained tensor: the master weight and the gradient that backward sums into.
#pragma once

#include <string>

#include "engine/core/tensor.h"

namespace blalm {

// What a parameter is for: decides its optimiser and its weight decay (spec §13.4).
enum class Role { matrix, embedding, vector, gate, scalar, convolution };

struct Parameter {
  std::string name;  // "model.layers.0.mlstm.q_proj.weight"
  Role role = Role::matrix;
  Tensor value;           // master weight: f32 (f64 or c128 in tests)
  Tensor grad;            // same shape; undefined until the first backward
  bool has_grad = false;  // false: the next gradient overwrites `grad`; true: it is added

  // Forgets the gradient but keeps its buffer.
  void zero_grad() { has_grad = false; }
  // Forgets both: until backward needs the buffer, others can use its memory.
  void release_grad() {
    has_grad = false;
    grad = Tensor();
  }
};

}  // namespace blalm
