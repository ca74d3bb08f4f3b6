// First values of a model's matrices, as its config asks for (spec §4.7).
#pragma once

#include "models/config.h"
#include "models/init.h"

namespace blalm {

// Embeddings and matrices that read the residual stream: N(0, 0.02²), or N(0, 2/(5d)) for xlstm.
Init inner_init(const ModelConfig& config);
// Matrices [d, fan_in] that write to it: N(0, 0.02²), divided by √(2L) on request, or N(0, (2/(L √fan_in))²) for xlstm.
Init residual_init(const ModelConfig& config, std::int64_t fan_in);

}  // namespace blalm
