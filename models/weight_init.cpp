#include "models/weight_init.h"

#include <cmath>

namespace blalm {
namespace {
constexpr double kStddev = 0.02;
}

Init inner_init(const ModelConfig& c) {
  return init::normal(c.weight_init == WeightInit::xlstm ? std::sqrt(0.4 / static_cast<double>(c.hidden_size))
                                                         : kStddev);
}

Init residual_init(const ModelConfig& c, std::int64_t fan_in) {
  const auto layers = static_cast<double>(c.num_hidden_layers);
  if (c.weight_init == WeightInit::xlstm) return init::normal(2 / (layers * std::sqrt(static_cast<double>(fan_in))));
  return init::normal(c.residual_init_scale ? kStddev / std::sqrt(2 * layers) : kStddev);
}

}  // namespace blalm
