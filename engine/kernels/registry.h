// Every kernel of the engine, for listings, tests and the check of --kernel flags.
#pragma once

#include <vector>

#include "blalm/kernels/kernel.h"

namespace blalm {

const std::vector<const KernelBase*>& all_kernels();

}  // namespace blalm
