// What `blalm bench` can measure: a file each, named in the list of bench.cpp.
#pragma once

#include "apps/common/command.h"

namespace blalm {

// argv[0] of each is its own name.
extern const Command bench_decode;
extern const Command bench_kernels;
extern const Command bench_step;

}  // namespace blalm
