// Rows of f32 rounded to bf16: with the processor's own conversion where it has one, which compilers do not find in
// loops over BFloat16(x).
#pragma once

#include <cstdint>

#include "engine/core/dtype.h"

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace blalm {

// to[j] = from[j], to nearest, ties to even; NaN stays NaN. What is too small for a normal number may become 0.
inline void narrow(const float* from, BFloat16* to, std::int64_t n) {
#ifdef __AVX512BF16__
  // A masked end: every number takes the same instruction, wherever threads cut a tensor.
  std::int64_t j = 0;
  for (; j + 16 <= n; j += 16)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + j),
                        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(from + j))));
  if (j == n) return;
  const auto mask = static_cast<__mmask16>((1U << (n - j)) - 1);
  _mm256_mask_storeu_epi16(to + j, mask,
                           reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from + j))));
#else
  for (std::int64_t j = 0; j < n; ++j) to[j] = BFloat16(from[j]);
#endif
}

}  // namespace blalm
