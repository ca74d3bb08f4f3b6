// Whether a run can fit into this machine at all.
#pragma once

#include "apps/common/run_config.h"

namespace blalm {

// ConfigError when what training holds at the very least (weights, gradients, the optimiser's state, the input of each
// layer) is more than this machine's memory. What fits may still be too much with all else.
void require_memory(const RunConfig& config);

}  // namespace blalm
