// Sixteen numbers of a row at once, where the processor has registers for them: a kernel that vec::write(), over() or
// two_sums() calls with places instead of an index runs on Lanes, whose operators are those of numbers. It is for
// functions that compilers make poor vectors of; elsewhere, and in f64, the same kernel runs number by number.
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/core/dtype.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512BF16__)
#define BLALM_LANES 1
#include <immintrin.h>
#endif

namespace blalm::kernels::vec {

// Whether kernels run on lanes where this is what they compute with.
template <class C>
#ifdef BLALM_LANES
inline constexpr bool kHasLanes = std::is_same_v<C, float>;
#else
inline constexpr bool kHasLanes = false;
#endif

// The number at place i, as what is computed with.
template <class T>
inline Compute<T> at(const T* p, std::int64_t i) {
  return static_cast<Compute<T>>(p[i]);
}

template <class T>
inline void put(T* p, std::int64_t i, Compute<T> x) {
  p[i] = static_cast<T>(x);
}

// The larger; x where it is NaN.
template <class C>
inline C at_least(C least, C x) {
  return real_part(least) > real_part(x) ? least : x;
}

#ifdef BLALM_LANES
// Instructions with a mask of all lanes where one without it would do: g++ 12 warns inside its own header of those (GCC
// bug 105593).
inline constexpr __mmask16 kAll = 0xffff;

struct Lanes {
  __m512 v;

  Lanes() = default;
  Lanes(__m512 x) : v(x) {}
  Lanes(float x) : v(_mm512_set1_ps(x)) {}

  friend Lanes operator+(Lanes a, Lanes b) { return a.v + b.v; }
  friend Lanes operator-(Lanes a, Lanes b) { return a.v - b.v; }
  friend Lanes operator*(Lanes a, Lanes b) { return a.v * b.v; }
  friend Lanes operator-(Lanes a) { return -a.v; }
};

// Places first to first + 15 of a row, those that exist.
struct Places {
  std::int64_t first;
  __mmask16 exist;
};

inline Lanes at(const float* p, Places i) { return _mm512_maskz_loadu_ps(i.exist, p + i.first); }
inline Lanes at(const BFloat16* p, Places i) {
  const __m256i half = _mm256_maskz_loadu_epi16(i.exist, p + i.first);
  return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(kAll, _mm512_maskz_cvtepu16_epi32(kAll, half), 16));
}

inline void put(float* p, Places i, Lanes x) { _mm512_mask_storeu_ps(p + i.first, i.exist, x.v); }
inline void put(BFloat16* p, Places i, Lanes x) {
  _mm256_mask_storeu_epi16(p + i.first, i.exist, reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x.v)));
}

inline float sum_of(Lanes x) {
  alignas(64) float lanes[16];
  _mm512_store_ps(lanes, x.v);
  for (int width = 8; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lanes[l] += lanes[l + width];
  return lanes[0];
}

inline Lanes at_least(Lanes least, Lanes x) { return _mm512_maskz_max_ps(kAll, least.v, x.v); }

// run(places) for all of n places.
template <class Run>
inline void over_places(std::int64_t n, Run&& run) {
  std::int64_t j = 0;
  for (; j + 16 <= n; j += 16) run(Places{j, kAll});
  if (j < n) run(Places{j, static_cast<__mmask16>((1U << (n - j)) - 1)});
}
#endif

}  // namespace blalm::kernels::vec
