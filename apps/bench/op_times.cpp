#include "apps/bench/op_times.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace blalm::bench {
namespace {

double bytes_of(const Shape& shape, DType dtype) { return static_cast<double>(shape.numel() * size_of(dtype)); }

// Forward: inputs and outputs. Backward: what was saved, gradients of outputs, gradients of the inputs that want one.
double bytes_of(const Tape& tape, const Node& node) {
  if (node.implementation == "view") return 0;
  double inputs = 0, gradients = 0, outputs = 0;
  for (const NodeInput& in : node.inputs) {
    if (!in.given) continue;
    inputs += bytes_of(in.shape, in.dtype);
    if (in.id != kConstant) gradients += bytes_of(in.shape, in.dtype);
  }
  for (const ValueId id : node.outputs) {
    const Value& v = tape.values()[static_cast<std::size_t>(id)];
    outputs += bytes_of(v.shape, v.dtype);
  }
  if (node.op == "embedding") inputs = gradients = outputs;  // the rows that are asked for, not the whole table
  return inputs + 2 * outputs + static_cast<double>(node.saved_bytes) + gradients;
}

double per_second(double amount, double seconds) { return seconds > 0 ? amount / seconds : 0; }

}  // namespace

OpTime cost_of(const Tape& tape, const Node& node) {
  return {std::string(node.op),
          std::string(node.implementation),
          1,
          node.forward_seconds,
          node.backward_seconds,
          3 * node.flops,
          bytes_of(tape, node)};
}

void OpTimes::add(const Tape& tape) {
  for (const Node& node : tape.nodes()) {
    const OpTime one = cost_of(tape, node);
    OpTime& t = times_.emplace(std::pair{one.op, one.kernel}, OpTime{one.op, one.kernel}).first->second;
    t.calls += one.calls;
    t.forward_seconds += one.forward_seconds;
    t.backward_seconds += one.backward_seconds;
    t.flops += one.flops;
    t.bytes += one.bytes;
  }
}

std::vector<OpTime> OpTimes::sorted() const {
  std::vector<OpTime> all;
  for (const auto& [key, t] : times_) all.push_back(t);
  std::ranges::stable_sort(all, std::greater(), &OpTime::seconds);
  return all;
}

double OpTimes::seconds() const {
  double sum = 0;
  for (const auto& [key, t] : times_) sum += t.seconds();
  return sum;
}

std::string table(const std::vector<OpTime>& times, double step_seconds) {
  std::string text = fmt::format("{:<22}{:<24}{:>6}{:>12}{:>13}{:>9}{:>8}{:>10}{:>8}\n", "op", "kernel", "calls",
                                 "forward ms", "backward ms", "GF/s", "share", "MB", "GB/s");
  for (const OpTime& t : times) {
    const double rate = per_second(t.flops, t.seconds()) / 1e9;
    text +=
        fmt::format("{:<22}{:<24}{:>6}{:>12.2f}{:>13.2f}{:>9}{:>7.1f}%{:>10.0f}{:>8.1f}\n", t.op, t.kernel, t.calls,
                    1e3 * t.forward_seconds, 1e3 * t.backward_seconds, t.flops > 0 ? fmt::format("{:.0f}", rate) : "",
                    100 * per_second(t.seconds(), step_seconds), t.bytes / 1e6, per_second(t.bytes, t.seconds()) / 1e9);
  }
  return text;
}

nlohmann::ordered_json to_json(const std::vector<OpTime>& times, double step_seconds) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const OpTime& t : times)
    list.push_back({{"op", t.op},
                    {"kernel", t.kernel},
                    {"calls", t.calls},
                    {"forward_seconds", t.forward_seconds},
                    {"backward_seconds", t.backward_seconds},
                    {"flops", t.flops},
                    {"gflops_per_second", per_second(t.flops, t.seconds()) / 1e9},
                    {"share", per_second(t.seconds(), step_seconds)},
                    {"bytes", t.bytes},
                    {"gbytes_per_second", per_second(t.bytes, t.seconds()) / 1e9}});
  return list;
}

}  // namespace blalm::bench
