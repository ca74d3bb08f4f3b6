// What `blalm inspect` can look at: a file each, named in the list of inspect.cpp.
#pragma once

#include "apps/common/command.h"

namespace blalm {

// argv[0] of a subject is its own name.
extern const Command inspect_kernels;
extern const Command inspect_model;

}  // namespace blalm
