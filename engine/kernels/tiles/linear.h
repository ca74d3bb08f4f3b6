// What linear layers and the output head share.
#pragma once

#include "engine/kernels/tiles/gemm.h"

namespace blalm::kernels::tiles {

using Pack = void (*)(const Source&, BFloat16*, std::int64_t, std::int64_t);

// `from` in tile order, as the operand of this width and depth that `pack` makes of it. Memory comes from `reuse` where
// that is defined and of the right size.
Tensor packed(Pack pack, const Tensor& from, std::int64_t width, std::int64_t depth, const Tensor& reuse = {});

// What the terms make, as all of the matrix c.
Product result(std::span<const Term> terms, const Tensor& c);

// A term of `rows` by `cols` into a sink.
void multiply(Unit unit, const Term& term, std::int64_t rows, std::int64_t cols, const Sink& sink);

}  // namespace blalm::kernels::tiles
