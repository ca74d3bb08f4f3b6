// Where a step's time goes: the nodes of its tapes, summed by operation.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/autograd/tape.h"

namespace blalm::bench {

struct OpTime {
  std::string op, kernel;  // "linear", and the implementation that ran
  std::int64_t calls = 0;
  double forward_seconds = 0, backward_seconds = 0;
  double flops = 0;  // forward and backward, which counts twice the forward
  double bytes = 0;  // of operands and results, each counted once a pass: what an op that wastes nothing would move

  double seconds() const { return forward_seconds + backward_seconds; }
};

// What one node did.
OpTime cost_of(const Tape& tape, const Node& node);

// A layer under recompute is one operation, "recompute".
class OpTimes {
 public:
  void add(const Tape& tape);          // after its reverse sweep
  std::vector<OpTime> sorted() const;  // by time, the longest first
  double seconds() const;

 private:
  std::map<std::pair<std::string, std::string>, OpTime> times_;
};

// Lines for the terminal; share is of `step_seconds`.
std::string table(const std::vector<OpTime>& times, double step_seconds);
nlohmann::ordered_json to_json(const std::vector<OpTime>& times, double step_seconds);

}  // namespace blalm::bench
