#include "engine/core/dtype.h"

namespace blalm {

std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return 4;
    case DType::bf16: return 2;
    case DType::f64: return 8;
    case DType::c128: return 16;
    case DType::i32: return 4;
  }
  return 0;
}

std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::bf16: return "bf16";
    case DType::f64: return "f64";
    case DType::c128: return "c128";
    case DType::i32: return "i32";
  }
  return "?";
}

bool is_floating(DType dtype) { return dtype != DType::i32; }

DType compute_dtype(DType dtype) { return dtype == DType::bf16 ? DType::f32 : dtype; }
DType wide_dtype(DType dtype) { return dtype == DType::f32 ? DType::f64 : dtype; }

}  // namespace blalm
