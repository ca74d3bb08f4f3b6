// The element types of the safetensors format, and how each becomes a Tensor. Private to engine/io.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/core/tensor.h"

namespace blalm::safetensors {

struct StoredType {
  std::string_view name;  // "F32"
  std::int64_t bytes;     // of one element
  // Copies elements into a new tensor of `shape`: integers into i32 when `wanted` is i32 and into f64 when it is
  // floating, floats into the dtype of their own width whatever is wanted (F16 into f32). `subject` names file and
  // tensor in the FormatError for an integer outside i32. Null when blalm does not compute with the type.
  Tensor (*read)(const std::byte* elements, const Shape& shape, DType wanted, std::string_view subject);
};

// Null when the format has no type of that name, or only one whose elements are smaller than a byte.
const StoredType* find_stored_type(std::string_view name);
// The name under which tensors of `dtype` are stored; empty for c128, for which the format has none.
std::string_view stored_name(DType dtype);

}  // namespace blalm::safetensors
