// Functions of numbers and of rows, written so that the compiler turns float loops over them into vector code without
// -ffast-math. For double and Complex they are the library's.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <utility>

#include "engine/core/dtype.h"
#include "engine/core/narrow.h"
#include "engine/kernels/lanes.h"

namespace blalm::kernels::vec {

// e^r for |r| ≤ ln 2 / 2, by the polynomial of least relative error.
template <class C>
inline C exp_near_zero(C r) {
  C p = r * 0.00138436444F + 0.00837416295F;
  p = p * r + 0.041668002F;
  p = p * r + 0.166664317F;
  p = p * r + 0.49999994F;
  p = p * r + 1.0F;
  return p * r + 1.0F;
}

inline constexpr float kLog2e = 1.44269504F;
inline constexpr float kLn2[] = {0.693145752F,
                                 1.42860677e-6F};  // in two parts: small integers times the first are exact

// e^x. For float: within 1.1 units in the last place, held at e^-87 and e^88 outside [-87, 88]; NaN stays NaN.
template <class C>
inline C held_exp(C x) {
  if constexpr (std::is_same_v<C, float>) {
    // x = n ln 2 + r; 2^n by the exponent bits. Adding 1.5·2²³ rounds to the integer n and leaves it in the low bits.
    constexpr float kRound = 12582912.0F;
    constexpr std::uint32_t kOne = 0x3f800000;  // the bits of 1
    const float held = std::min(std::max(x, -87.0F), 88.0F);
    const float shifted = held * kLog2e + kRound, n = shifted - kRound;
    return exp_near_zero((held - n * kLn2[0]) - n * kLn2[1]) *
           std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) << 23) + kOne);
  } else {
    return std::exp(x);
  }
}

// The same, but 0 below -87.
template <class C>
inline C exp(C x) {
  if constexpr (std::is_same_v<C, float>)
    return x < -87.0F ? 0.0F : held_exp(x);
  else
    return std::exp(x);
}

// 1 / x of a normal x > 0 whose inverse is normal. For float within 1.5 units in the last place: a first guess by the
// exponent bits, made better twice, each time to the third power of its error. Processors divide vectors slowly.
template <class C>
inline C inverse(C x) {
  if constexpr (std::is_same_v<C, float>) {
    float y = std::bit_cast<float>(0x7ef311c7U - std::bit_cast<std::uint32_t>(x));  // within 13%
    for (int i = 0; i < 2; ++i) {
      const float error = 1 - x * y;
      y += y * (error * error + error);
    }
    return y;
  } else {
    return C(1) / x;
  }
}

// σ(x) = 1 / (1 + e^-x) without overflow. For float 0 below -87, where it is hardly normal; NaN stays NaN.
template <class C>
inline C logistic(C x) {
  if constexpr (std::is_same_v<C, float>) {
    return x < -87.0F ? 0.0F : inverse(1 + held_exp(-x));
  } else {
    if (real_part(x) >= 0) return C(1) / (C(1) + std::exp(-x));
    const C e = std::exp(x);
    return e / (C(1) + e);
  }
}

#ifdef BLALM_LANES
template <>
inline Lanes held_exp(Lanes x) {
  const __m512 held = _mm512_maskz_min_ps(kAll, _mm512_set1_ps(88), at_least(-87.0F, x).v);  // NaN where x is
  const Lanes n = _mm512_maskz_roundscale_ps(kAll, held * kLog2e, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  return _mm512_maskz_scalef_ps(kAll, exp_near_zero((held - n * kLn2[0]) - n * kLn2[1]).v, n.v);
}

// y, but 0 where x < -87.
inline Lanes unless_below(Lanes x, Lanes y) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.v, _mm512_set1_ps(-87), _CMP_NLT_UQ), y.v);
}

template <>
inline Lanes exp(Lanes x) {
  return unless_below(x, held_exp(x));
}

template <>
inline Lanes inverse(Lanes x) {
  const Lanes y = _mm512_maskz_rcp14_ps(kAll, x.v), error = 1 - x * y;
  return y + y * error;
}

template <>
inline Lanes logistic(Lanes x) {
  return unless_below(x, inverse(1 + held_exp(-x)));
}
#endif

// log σ(x) = min(x, 0) - log(1 + e^-|x|), so that no exponent is positive. For float within a few units in the last
// place: log(1 + u) = 2 artanh(u / (2 + u)), whose series in s ≤ 1/3 ends below 1e-8.
template <class C>
inline C log_sigmoid(C x) {
  if constexpr (std::is_same_v<C, float>) {
    const float u = held_exp(-std::abs(x)), s = u / (2 + u), q = s * s;
    float p = 1.0F / 15;
    p = p * q + 1.0F / 13;
    p = p * q + 1.0F / 11;
    p = p * q + 1.0F / 9;
    p = p * q + 1.0F / 7;
    p = p * q + 1.0F / 5;
    p = p * q + 1.0F / 3;
    p = p * q + 1;
    return std::min(x, 0.0F) - 2 * s * p;
  } else if constexpr (std::is_same_v<C, Complex>) {
    return x.real() >= 0 ? -std::log(1.0 + std::exp(-x)) : x - std::log(1.0 + std::exp(x));
  } else {
    return std::min(x, C(0)) - std::log1p(std::exp(-std::abs(x)));
  }
}

// Numbers that write() computes before it rounds them: enough that the compiler makes vectors of the loop.
inline constexpr std::int64_t kRun = 64;

// out[j] = f(j) for 0 ≤ j < n, f giving Compute<T>. For bf16 the numbers are made in runs and rounded by narrow(),
// which costs half of what a loop of single conversions does. f must not read what it writes at another place.
template <class T, class F>
inline void write(T* out, std::int64_t n, F&& f) {
#ifdef BLALM_LANES
  if constexpr (kHasLanes<Compute<T>>)
    if constexpr (std::is_invocable_v<F, Places>) {
      over_places(n, [&](Places i) { put(out, i, f(i)); });
      return;
    }
#endif
  if constexpr (std::is_same_v<T, BFloat16>) {
    float run[kRun];
    std::int64_t j = 0;
    for (; j + kRun <= n; j += kRun) {
      for (std::int64_t l = 0; l < kRun; ++l) run[l] = f(j + l);
      narrow(run, out + j, kRun);
    }
    for (std::int64_t l = 0; l < n - j; ++l) run[l] = f(j + l);
    narrow(run, out + j, n - j);
  } else {
    for (std::int64_t j = 0; j < n; ++j) out[j] = static_cast<T>(f(j));
  }
}

// run(j) for 0 ≤ j < n, or for all places of a row of Compute<T> = C: what reads and writes many rows at once, with
// at() and put().
template <class C, class Run>
inline void over(std::int64_t n, Run&& run) {
#ifdef BLALM_LANES
  if constexpr (kHasLanes<C>) {
    over_places(n, run);
    return;
  }
#endif
  for (std::int64_t j = 0; j < n; ++j) run(j);
}

// write() for two rows at once: f(j, x, y) sets x and y.
template <class T, class F>
inline void write(T* first, T* second, std::int64_t n, F&& f) {
  using C = Compute<T>;
#ifdef BLALM_LANES
  if constexpr (kHasLanes<C>)
    if constexpr (std::is_invocable_v<F, Places, Lanes&, Lanes&>) {
      over_places(n, [&](Places i) {
        Lanes x, y;
        f(i, x, y);
        put(first, i, x);
        put(second, i, y);
      });
      return;
    }
#endif
  if constexpr (std::is_same_v<T, BFloat16>) {
    float x[kRun], y[kRun];
    std::int64_t j = 0;
    for (; j + kRun <= n; j += kRun) {
      for (std::int64_t l = 0; l < kRun; ++l) f(j + l, x[l], y[l]);
      narrow(x, first + j, kRun);
      narrow(y, second + j, kRun);
    }
    for (std::int64_t l = 0; l < n - j; ++l) f(j + l, x[l], y[l]);
    narrow(x, first + j, n - j);
    narrow(y, second + j, n - j);
  } else {
    for (std::int64_t j = 0; j < n; ++j) {
      C x, y;
      f(j, x, y);
      first[j] = x;
      second[j] = y;
    }
  }
}

// Rows are summed in this many interleaved partial sums, which makes vectors of them and rounds less than one would.
inline constexpr std::int64_t kLanes = 16;

// Σ_{0≤j<n} f(j), in an order that depends on n alone. f has to read the same memory whatever it finds there: g++ 12
// with -fno-trapping-math miscompiles sums of `condition ? x[j] : 0`. Mask a factor instead.
template <class C, class F>
inline C sum(std::int64_t n, F&& f) {
  C lanes[kLanes]{};
  std::int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes)
    for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] += f(j + l);
  for (std::int64_t l = 0; l < n - j; ++l) lanes[l] += f(j + l);
  for (std::int64_t width = kLanes / 2; width > 0; width /= 2)
    for (std::int64_t l = 0; l < width; ++l) lanes[l] += lanes[l + width];
  return lanes[0];
}

// Two sums over the same row: f(j, x, y) sets what they get from j, which is an index or places of Compute<T> = C. The
// order depends on n alone.
template <class C, class F>
inline std::pair<C, C> two_sums(std::int64_t n, F&& f) {
#ifdef BLALM_LANES
  if constexpr (kHasLanes<C>) {
    Lanes first(0), second(0);
    over_places(n, [&](Places i) {
      Lanes x, y;
      f(i, x, y);
      first = first + x;
      second = second + y;
    });
    return {sum_of(first), sum_of(second)};
  }
#endif
  return {sum<C>(n,
                 [&](std::int64_t j) {
                   C x, y;
                   f(j, x, y);
                   return x;
                 }),
          sum<C>(n, [&](std::int64_t j) {
            C x, y;
            f(j, x, y);
            return y;
          })};
}

// The f(j), 0 ≤ j < n, whose real part is largest; n > 0.
template <class C, class F>
inline C largest(std::int64_t n, F&& f) {
  const auto larger = [](C a, C b) { return real_part(b) > real_part(a) ? b : a; };
  constexpr std::int64_t kWidth = 2 * kLanes;  // with two comparisons under way, vectors need half the time
  C lanes[kWidth];
  std::fill_n(lanes, kWidth, f(0));
  std::int64_t j = 0;
  for (; j + kWidth <= n; j += kWidth)
    for (std::int64_t l = 0; l < kWidth; ++l) lanes[l] = larger(lanes[l], f(j + l));
  for (std::int64_t l = 0; l < n - j; ++l) lanes[l] = larger(lanes[l], f(j + l));
  for (std::int64_t width = kWidth / 2; width > 0; width /= 2)
    for (std::int64_t l = 0; l < width; ++l) lanes[l] = larger(lanes[l], lanes[l + width]);
  return lanes[0];
}

}  // namespace blalm::kernels::vec
