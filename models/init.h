// How parameters get their first values (spec §4.7, §5.8, §7.2, §10, §11.2).
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/core/rng.h"
#include "engine/core/tensor.h"

namespace blalm {

// Fills a tensor from a random stream.
using Init = std::function<void(Rng rng, const Tensor& t)>;

// The stream of the parameter of this name: 64-bit FNV-1a.
std::uint64_t stream_of(std::string_view name);

namespace init {

Init constant(double value);
Init normal(double stddev);  // N(0, stddev²)
Init uniform(double low, double high);
Init linspace(double first, double last);  // evenly spaced over the elements; one element gets `first`
Init identity();                           // of the last two axes

}  // namespace init
}  // namespace blalm
