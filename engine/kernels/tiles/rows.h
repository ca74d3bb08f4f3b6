// Rows of numbers between f32 and bf16, and sums over them, for widths that are multiples of 16 unless said otherwise;
// powers. Files here use these rather than core/narrow.h: the linker may keep any copy of an inline function for the
// whole program, and copies made here need instructions that the processor may not have.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "engine/core/dtype.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels::tiles {

inline constexpr std::int64_t kLanes = 16;
inline constexpr float kLn2 = 0.693147181F;
using vec::kLog2e;

inline __m512 widen(const BFloat16* p) {
  const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

// The first `count` of sixteen numbers.
inline __mmask16 first_lanes(std::int64_t count) {
  return static_cast<__mmask16>((1U << std::min<std::int64_t>(count, 16)) - 1);
}
inline __m512 widen(const BFloat16* p, __mmask16 mask) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, p)), 16));
}

inline void narrow(__m512 x, BFloat16* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}

inline void narrow(__m512 x, BFloat16* p, __mmask16 mask) {
  _mm256_mask_storeu_epi16(p, mask, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}

// Σ_j a_j b_j.
inline float dot(const BFloat16* a, const float* b, std::int64_t width) {
  __m512 sum = _mm512_setzero_ps();
  for (std::int64_t j = 0; j < width; j += 16) sum = _mm512_fmadd_ps(widen(a + j), _mm512_loadu_ps(b + j), sum);
  return _mm512_reduce_add_ps(sum);
}

// Of any width.
inline float dot(const BFloat16* a, const BFloat16* b, std::int64_t width) {
  __m512 sum = _mm512_setzero_ps();
  for (std::int64_t j = 0; j < width; j += 16) {
    const __mmask16 mask = first_lanes(width - j);
    sum = _mm512_fmadd_ps(widen(a + j, mask), widen(b + j, mask), sum);
  }
  return _mm512_reduce_add_ps(sum);
}

// to_j = factor · from_j, of any width.
inline void scale(float factor, const BFloat16* from, BFloat16* to, std::int64_t width) {
  const __m512 f = _mm512_set1_ps(factor);
  for (std::int64_t j = 0; j < width; j += 16) {
    const __mmask16 mask = first_lanes(width - j);
    narrow(_mm512_mul_ps(f, widen(from + j, mask)), to + j, mask);
  }
}

// to_j = keep · to_j + factor · from_j
inline void accumulate(float keep, float* to, float factor, const BFloat16* from, std::int64_t width) {
  const __m512 k = _mm512_set1_ps(keep), f = _mm512_set1_ps(factor);
  for (std::int64_t j = 0; j < width; j += 16)
    _mm512_storeu_ps(to + j, _mm512_fmadd_ps(f, widen(from + j), _mm512_mul_ps(k, _mm512_loadu_ps(to + j))));
}

// 2^x within 3e-6 of it, 0 below 2^-126; NaN stays NaN.
inline __m512 exp2(__m512 x) {
  const __m512 f = _mm512_reduce_ps(x, 1);  // x - floor(x)
  __m512 p = _mm512_set1_ps(0.0135341679F);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.0520114606F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.241442757F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.693003834F));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.00000259F));
  const __mmask16 normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126), _CMP_NLT_UQ);
  return _mm512_maskz_scalef_ps(normal, p, x);  // p · 2^floor(x)
}

// A sum of powers of unshifted exponents serves within these; beyond, a power or a product with it may leave the
// floats.
inline constexpr float kSmallestSum = 0x1p-60F, kLargestSum = 0x1p60F;

// Thirty-two numbers as bf16.
inline __m512i narrow(__m512 low, __m512 high) { return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)); }

// Indices that make pairs of the lower and the upper half of a register of bf16: 0, 16, 1, 17, …
struct Pairs {
  alignas(64) std::uint16_t index[32];
};
inline constexpr Pairs kPairs = [] {
  Pairs pairs{};
  for (std::uint16_t i = 0; i < 16; ++i) {
    pairs.index[2 * i] = i;
    pairs.index[2 * i + 1] = static_cast<std::uint16_t>(16 + i);
  }
  return pairs;
}();

}  // namespace blalm::kernels::tiles
