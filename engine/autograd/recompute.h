// Trading time for memory: a part of the network whose inner values are not kept but computed again in the backward
// pass, with the same random numbers and hence the same bits.
#pragma once

#include <functional>
#include <span>

#include "blalm/autograd/tape.h"

namespace blalm {

// Called once forward (unrecorded) and once more in backward, on a tape of its own. It must use the tape it is given,
// take every outside value that needs a gradient through `inputs`, and get parameters from tape.parameter().
using Segment = std::function<Var(Tape& tape, std::span<const Var> inputs)>;

Var recompute(Tape& tape, std::span<const Var> inputs, Segment segment, Location where = Location::current());

}  // namespace blalm
