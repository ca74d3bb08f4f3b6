// Functions of numbers and of rows, written so that the compiler turns float loops over them into vector code without
// -ffast-math. For double and Complex they are the library's.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "blalm/core/dtype.h"
#include "blalm/core/narrow.h"

namespace blalm::kernels::vec {

// e^x. For float: within 1.3 units in the last place, held at e^-87 and e^88 outside [-87, 88]; NaN stays NaN.
template <class C>
inline C held_exp(C x) {
  if constexpr (std::is_same_v<C, float>) {
    // x = n ln 2 + r with |r| ≤ ln 2 / 2; e^r by its series, 2^n by the exponent bits. Adding 1.5·2²³ rounds to the
    // integer n and leaves it in the low bits.
    constexpr float kRound = 12582912.0F;
    const float held = std::min(std::max(x, -87.0F), 88.0F);
    const float shifted = held * 1.44269504F + kRound;
    const float n = shifted - kRound;
    const float r = (held - n * 0.693145752F) - n * 1.42860677e-6F;  // ln 2 in two parts: n times the first is exact
    float p = 1.0F / 5040;
    p = p * r + 1.0F / 720;
    p = p * r + 1.0F / 120;
    p = p * r + 1.0F / 24;
    p = p * r + 1.0F / 6;
    p = p * r + 1.0F / 2;
    p = p * r + 1;
    p = p * r + 1;
    const std::int32_t power = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(kRound);
    return p * std::bit_cast<float>((power + 127) << 23);
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

// σ(x) = 1 / (1 + e^-x) without overflow.
template <class C>
inline C logistic(C x) {
  if constexpr (std::is_same_v<C, float>) {
    return 1 / (1 + held_exp(-x));
  } else {
    if (real_part(x) >= 0) return C(1) / (C(1) + std::exp(-x));
    const C e = std::exp(x);
    return e / (C(1) + e);
  }
}

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

// The same for two rows at once: f(j, x, y) sets x and y.
template <class T, class F>
inline void write(T* first, T* second, std::int64_t n, F&& f) {
  using C = Compute<T>;
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
