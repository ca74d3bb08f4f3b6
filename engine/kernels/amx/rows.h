// Rows of numbers between f32 and bf16, and sums over them, for widths that are multiples of 16 unless said otherwise.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "blalm/core/dtype.h"

namespace blalm::kernels::amx {

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

// to_j = factor · from_j
inline void scale(float factor, const BFloat16* from, BFloat16* to, std::int64_t width) {
  const __m512 f = _mm512_set1_ps(factor);
  for (std::int64_t j = 0; j < width; j += 16) narrow(_mm512_mul_ps(f, widen(from + j)), to + j);
}

// to_j = keep · to_j + factor · from_j
inline void accumulate(float keep, float* to, float factor, const BFloat16* from, std::int64_t width) {
  const __m512 k = _mm512_set1_ps(keep), f = _mm512_set1_ps(factor);
  for (std::int64_t j = 0; j < width; j += 16)
    _mm512_storeu_ps(to + j, _mm512_fmadd_ps(f, widen(from + j), _mm512_mul_ps(k, _mm512_loadu_ps(to + j))));
}

}  // namespace blalm::kernels::amx
