#include "engine/kernels/vector_math.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace blalm::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Numbers near 0, near the edges of what float can hold, and far beyond them.
std::vector<float> numbers() {
  std::vector<float> all{-kInfinity, -1e30F, -1000, 1000, 1e30F, kInfinity};
  for (int i = -9500; i <= 9500; ++i) all.push_back(0.01F * static_cast<float>(i));
  return all;
}

// f of each number: one by one, as kernels have it where the processor has no lanes, and in rows.
template <class F>
std::vector<float> singly(const std::vector<float>& x, F f) {
  std::vector<float> y;
  for (const float number : x) y.push_back(f(number));
  return y;
}
template <class F>
std::vector<float> in_rows(const std::vector<float>& x, F f) {
  std::vector<float> y(x.size());
  vec::write(y.data(), static_cast<std::int64_t>(x.size()),
             [=, from = x.data()](auto j) { return f(vec::at(from, j)); });
  return y;
}

// The largest error, relative where the exact value is a normal number.
template <class Exact>
double worst(const std::vector<float>& x, const std::vector<float>& y, Exact exact) {
  double error = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double right = exact(static_cast<double>(x[i]));
    const double e = std::abs(y[i] - right) / std::max(right, 2e-38);
    if (std::isnan(e)) return e;
    error = std::max(error, e);
  }
  return error;
}

}  // namespace

TEST_CASE("logistic and powers, also where float ends") {
  const std::vector<float> x = numbers();
  const auto logistic = [](auto number) { return vec::logistic(number); };
  const auto exact_logistic = [](double number) { return 1 / (1 + std::exp(-number)); };
  for (const std::vector<float>& y : {singly(x, logistic), in_rows(x, logistic)}) {
    CHECK(y[0] == 0);
    CHECK(y[5] == 1);
    // Below the smallest normal number 0 is near enough; above it some units in the last place are.
    CHECK(worst(x, y, [&](double number) { return number < -87 ? 0 : exact_logistic(number); }) < 4e-7);
  }
  const auto power = [](auto number) { return vec::exp(number); };
  for (const std::vector<float>& y : {singly(x, power), in_rows(x, power)}) {
    CHECK(y[0] == 0);
    CHECK(worst(x, y, [](double number) { return number < -87 ? 0 : std::exp(std::min(number, 88.0)); }) < 4e-7);
  }
}

TEST_CASE("what is no number stays none") {
  const std::vector<float> x(17, std::numeric_limits<float>::quiet_NaN());
  for (const float y : in_rows(x, [](auto number) { return vec::logistic(number); })) CHECK(std::isnan(y));
  for (const float y : in_rows(x, [](auto number) { return vec::exp(number); })) CHECK(std::isnan(y));
  CHECK(std::isnan(vec::logistic(x[0])));
  CHECK(std::isnan(vec::exp(x[0])));
}

TEST_CASE("rows of any length, nothing behind their ends") {
  const std::vector<float> x(70, 0.5F);
  for (std::int64_t n = 0; n <= 70; ++n) {
    std::vector<float> y(71, -1);
    std::vector<BFloat16> z(71, BFloat16(-1.0F));
    const auto twice = [from = x.data()](auto j) { return vec::at(from, j) + vec::at(from, j); };
    vec::write(y.data(), n, twice);
    vec::write(z.data(), n, twice);
    for (std::int64_t i = 0; i <= 70; ++i) {
      CHECK(y[static_cast<std::size_t>(i)] == (i < n ? 1 : -1));
      CHECK(static_cast<float>(z[static_cast<std::size_t>(i)]) == (i < n ? 1 : -1));
    }
  }
}

}  // namespace blalm::kernels
