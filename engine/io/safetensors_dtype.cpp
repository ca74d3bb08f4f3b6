#include "engine/io/safetensors_dtype.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "engine/io/safetensors_header.h"

namespace blalm::safetensors {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian and is copied as it is");

// IEEE half precision: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction.
float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1fU;
  const std::uint32_t fraction = half & 0x3ffU;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24, which a float holds exactly
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign == 0 ? magnitude : -magnitude;
  }
  const std::uint32_t rebiased = exponent == 0x1f ? 0xffU : exponent - 15 + 127;  // 0x1f: infinity or NaN
  return std::bit_cast<float>(sign | rebiased << 23 | fraction << 13);
}

// Reads element by element through memcpy: nothing in the format aligns the data.
template <class Stored, class Value, class Convert>
Tensor read_each(const std::byte* elements, const Shape& shape, Convert convert) {
  Tensor tensor = Tensor::empty(shape, dtype_of<Value>);
  Value* values = tensor.mutable_data<Value>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    Stored stored;
    std::memcpy(&stored, elements + i * static_cast<std::int64_t>(sizeof stored), sizeof stored);
    values[i] = convert(stored, i);
  }
  return tensor;
}

template <class T>
Tensor read_same(const std::byte* elements, const Shape& shape, DType, std::string_view) {
  Tensor tensor = Tensor::empty(shape, dtype_of<T>);
  if (tensor.bytes() > 0) std::memcpy(tensor.mutable_raw(), elements, static_cast<std::size_t>(tensor.bytes()));
  return tensor;
}

Tensor read_half(const std::byte* elements, const Shape& shape, DType, std::string_view) {
  return read_each<std::uint16_t, float>(elements, shape,
                                         [](std::uint16_t half, std::int64_t) { return half_to_float(half); });
}

template <class Integer>
Tensor read_integers(const std::byte* elements, const Shape& shape, DType wanted, std::string_view subject) {
  if (is_floating(wanted))
    return read_each<Integer, double>(elements, shape,
                                      [](Integer value, std::int64_t) { return static_cast<double>(value); });
  return read_each<Integer, std::int32_t>(elements, shape, [&](Integer value, std::int64_t index) {
    if (!std::in_range<std::int32_t>(value))
      fail(subject, "integers that fit in 32 bits", fmt::format("{} at element {}", value, index));
    return static_cast<std::int32_t>(value);
  });
}

Tensor read_bool(const std::byte* elements, const Shape& shape, DType, std::string_view) {
  return read_each<std::uint8_t, std::int32_t>(elements, shape,
                                               [](std::uint8_t byte, std::int64_t) { return byte == 0 ? 0 : 1; });
}

constexpr std::array kStoredTypes = {
    StoredType{"F32", 4, read_same<float>},
    StoredType{"BF16", 2, read_same<BFloat16>},
    StoredType{"F64", 8, read_same<double>},
    StoredType{"I32", 4, read_integers<std::int32_t>},
    StoredType{"F16", 2, read_half},
    StoredType{"I64", 8, read_integers<std::int64_t>},
    StoredType{"U64", 8, read_integers<std::uint64_t>},
    StoredType{"U32", 4, read_integers<std::uint32_t>},
    StoredType{"I16", 2, read_integers<std::int16_t>},
    StoredType{"U16", 2, read_integers<std::uint16_t>},
    StoredType{"I8", 1, read_integers<std::int8_t>},
    StoredType{"U8", 1, read_integers<std::uint8_t>},
    StoredType{"BOOL", 1, read_bool},
    StoredType{"C64", 8, nullptr},
    StoredType{"F8_E5M2", 1, nullptr},
    StoredType{"F8_E4M3", 1, nullptr},
    StoredType{"F8_E8M0", 1, nullptr},
};

}  // namespace

const StoredType* find_stored_type(std::string_view name) {
  const auto* found = std::ranges::find(kStoredTypes, name, &StoredType::name);
  return found == kStoredTypes.end() ? nullptr : found;
}

std::string_view stored_name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "F32";
    case DType::bf16: return "BF16";
    case DType::f64: return "F64";
    case DType::i32: return "I32";
    case DType::c128: return {};
  }
  return {};
}

}  // namespace blalm::safetensors
