// Element types of tensors, and the dispatch from a DType at run time to a C++ type at compile time.
#pragma once

#include <bit>
#include <complex>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace blalm {

// f32 and bf16 train; f64 and c128 exist for tests: f64 for gradient checks, c128 (a complex number of two doubles)
// for the complex step. i32 holds token ids and positions.
enum class DType : std::uint8_t { f32, bf16, f64, c128, i32 };

using Complex = std::complex<double>;

// Upper half of an IEEE float: 8 bits of exponent, 7 of fraction. Rounds to nearest, ties to even; keeps NaN.
struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float value) {
    std::uint32_t u = std::bit_cast<std::uint32_t>(value);
    const bool nan = (u & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40U : (u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
  }
  operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<Complex> {
  static constexpr DType value = DType::c128;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

// The type that sums and formulas are computed in: float for bf16 storage, the type itself otherwise.
template <class T>
using Compute = std::conditional_t<std::is_same_v<T, BFloat16>, float, T>;

// The type of sums whose terms may all but cancel, and of small differences of long sums: double for f32.
template <class C>
using Wide = std::conditional_t<std::is_same_v<C, float>, double, C>;

std::int64_t size_of(DType dtype);      // bytes of one element
std::string_view name_of(DType dtype);  // "f32"
bool is_floating(DType dtype);          // everything but i32
DType compute_dtype(DType dtype);       // the DType of Compute<T>
DType wide_dtype(DType dtype);          // the DType of Wide<T>

template <class T>
struct TypeTag {
  using type = T;
};

// Calls f(TypeTag<T>{}) with the C++ type of a floating dtype. f must return the same type for each.
template <class F>
decltype(auto) visit_floating(DType dtype, F&& f) {
  switch (dtype) {
    case DType::bf16: return std::forward<F>(f)(TypeTag<BFloat16>{});
    case DType::f64: return std::forward<F>(f)(TypeTag<double>{});
    case DType::c128: return std::forward<F>(f)(TypeTag<Complex>{});
    default: return std::forward<F>(f)(TypeTag<float>{});
  }
}

// The real part decides wherever a formula compares or branches, so that the complex step stays valid.
template <class T>
inline auto real_part(const T& x) {
  if constexpr (std::is_same_v<T, Complex>)
    return x.real();
  else
    return static_cast<Compute<T>>(x);
}

}  // namespace blalm
