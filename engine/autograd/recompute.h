// Trading time for memory: a part of the network whose inner values are not kept but computed again in the backward
// pass, with the same random numbers and hence the same bits.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/autograd/tape.h"

namespace blalm {

// Called once forward (unrecorded) and once more in backward, on a tape of its own. It must use the tape it is given,
// take every outside value that needs a gradient through `inputs`, and get parameters from tape.parameter(). Hooks that
// it sets on the tape's values and nodes take effect when it runs again; those on parameters wait, as everywhere, until
// the whole gradient is there.
using Segment = std::function<Var(Tape& tape, std::span<const Var> inputs)>;
// The same with several outputs, each time as many.
using SegmentOfMany = std::function<std::vector<Var>(Tape& tape, std::span<const Var> inputs)>;

Var recompute(Tape& tape, std::span<const Var> inputs, Segment segment, Location where = Location::current());
std::vector<Var> recompute(Tape& tape, std::span<const Var> inputs, SegmentOfMany segment,
                           Location where = Location::current());

}  // namespace blalm
