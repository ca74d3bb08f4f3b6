// The list of all censuses. Each test file defines one function, std::vector<OpCensus> NAME(), that returns those of
// the ops in its source file; a name here declares it and makes it run.
#pragma once

#include "tests/engine/ops/census.h"

#define BLALM_CENSUSES(X) \
  X(elementwise)          \
  X(reduce)               \
  X(rms_norm)             \
  X(matmul)               \
  X(cross_entropy)        \
  X(shape)                \
  X(softmax)              \
  X(mlstm)                \
  X(mlstm_gate)           \
  X(head_norm)            \
  X(rope)                 \
  X(swiglu)               \
  X(short_conv)           \
  X(dropout)              \
  X(modulation)           \
  X(hedgehog)             \
  X(attention)

namespace blalm::census {

#define BLALM_DECLARE(name) std::vector<OpCensus> name();
BLALM_CENSUSES(BLALM_DECLARE)
#undef BLALM_DECLARE

}  // namespace blalm::census
