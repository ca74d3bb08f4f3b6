// Numbers as they are shown.
#pragma once

#include <cmath>
#include <limits>

namespace blalm {

// x, but NaN without the sign bit that processors and compilers leave in it by chance: "nan" and never "-nan".
inline double without_nan_sign(double x) { return std::isnan(x) ? std::numeric_limits<double>::quiet_NaN() : x; }

}  // namespace blalm
