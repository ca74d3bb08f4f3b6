// The tape as a table for the terminal: one line a node, in the order in which they ran.
#pragma once

#include <string>

#include "engine/autograd/tape.h"

namespace blalm::inspect {

struct TableOptions {
  bool times = true;   // forward and backward microseconds (left out where output must not change from run to run)
  bool places = true;  // the source line that called each op
};

// Columns: number, op, module, shapes of inputs -> outputs, implementation, bytes saved, times, place. Ends with
// totals.
std::string table(const Tape& tape, TableOptions options = {});

// "1.50 MB", "512 B": three significant digits, powers of 1000.
std::string human_bytes(std::int64_t bytes);

}  // namespace blalm::inspect
