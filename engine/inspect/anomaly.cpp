#include "engine/inspect/anomaly.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/error.h"
#include "engine/core/number.h"

namespace blalm::inspect {
namespace {

void check(const Tape& tape, const Node& node, const Tensor& t, std::string_view what) {
  if (!t.defined() || !is_floating(t.dtype())) return;
  std::int64_t first = -1, count = 0;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    const double x = t.at(i);
    if (std::isfinite(x)) {
      low = std::min(low, x);
      high = std::max(high, x);
    } else {
      if (first < 0) first = i;
      ++count;
    }
  }
  if (first < 0) return;
  const std::string& scope = tape.scope_name(node.scope);
  const std::string range =
      low <= high ? fmt::format("the finite ones lie in [{:.3g}, {:.3g}]", low, high) : "none is finite";
  throw NumericError(
      fmt::format("[anomaly] {}{}{} (called at {}, kernel {}): {} {} holds {} at element {}; {} of {} numbers are "
                  "not finite, {}",
                  scope, scope.empty() ? "" : " ", node.op, node.where.str(), node.implementation, what, t.str(),
                  without_nan_sign(t.at(first)), first, count, t.numel(), range));
}

}  // namespace

void stop_at_anomaly(Tape& tape) {
  tape.on_forward([](const Tape& t, const Node& node, std::span<const Tensor> outputs) {
    for (const Tensor& output : outputs) check(t, node, output, "output");
  });
  tape.on_backward_sums([](const Tape& t, const Node& node, std::span<const Tensor> gradients) {
    for (const Tensor& gradient : gradients) check(t, node, gradient, "gradient of an input");
  });
}

}  // namespace blalm::inspect
