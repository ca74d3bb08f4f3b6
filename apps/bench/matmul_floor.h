// The matmul floor of a training step: the time that the products of its linear layers take alone, each as oneDNN runs
// it at its best. A step cannot do with less work, so floor/step says how much of it is spent on the inevitable.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "blalm/apps/bench/workload.h"
#include "blalm/kernels/onednn/best_matmul.h"

namespace blalm::bench {

using kernels::onednn::LinearShape;

struct StepProduct {
  LinearShape shape;
  std::int64_t count = 0;  // how many of this shape a step needs
  double seconds = 0;      // of one, as measured
};

// The products of one step: for each linear layer and the output head, forward, gradient of the input, gradient of the
// weight. Left out are the inner products of mixers and feature maps, those of the optimiser, and repetitions under
// recompute.
std::vector<StepProduct> step_products(const LanguageModel& model, const Workload& workload);

struct MatmulFloor {
  std::vector<StepProduct> products;
  double seconds = 0, flops = 0;  // of all
};

// Median of `repeats` runs of each product, on the present number of threads. Nothing when there is no oneDNN to
// measure, for the reason that best_matmul_unavailable() gives.
std::optional<MatmulFloor> measure_floor(std::vector<StepProduct> products, std::int64_t repeats);

nlohmann::ordered_json to_json(const std::vector<StepProduct>& products);

}  // namespace blalm::bench
