// Stops at the first number that is not finite, and tells where it came from.
#pragma once

#include "engine/autograd/tape.h"

namespace blalm::inspect {

// Adds hooks to the tape: from now on a forward result or a gradient that holds NaN or infinity throws a NumericError
//   [anomaly] layers.3.mlp swiglu (called at swiglu_mlp.cpp:21, kernel reference): output holds nan at element 17
// with the range of the operation's finite numbers.
void stop_at_anomaly(Tape& tape);

}  // namespace blalm::inspect
