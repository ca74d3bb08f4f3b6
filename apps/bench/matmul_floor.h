// The matmul floor of a training step: the time that the products of its linear layers take alone, each as oneDNN runs
// it at its best. floor/step sets a step beside what a well-kept library needs for its products; a step whose own
// products are faster can end below it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/bench/workload.h"
#include "engine/kernels/onednn/best_matmul.h"

namespace blalm::bench {

using kernels::onednn::LinearShape;

struct StepProduct {
  LinearShape shape;
  std::int64_t count = 0;  // how many of this shape a step needs
  double seconds = 0;      // of one, as measured

  double gflops_per_second() const { return shape.flops() / seconds / 1e9; }
};
std::string name_of(const LinearShape& shape);  // "forward", "input gradient", "weight gradient"

// The products of one step: for each linear layer and the output head, forward, gradient of the input, gradient of the
// weight. Left out are the inner products of mixers and feature maps, those of the optimiser, and repetitions under
// recompute.
std::vector<StepProduct> step_products(const LanguageModel& model, const Workload& workload);

// Measures products, each as oneDNN runs it at its best.
class MatmulFloor {
 public:
  // Runs each once without counting it, on the present number of threads. Measures nothing, for the reason of
  // best_matmul_unavailable(), where there is no oneDNN.
  explicit MatmulFloor(const std::vector<StepProduct>& products);

  void run();  // each once

  bool available() const { return !products_.empty(); }
  // The medians of the runs.
  std::vector<StepProduct> products() const;
  double seconds() const;  // of a step
  double flops() const;

 private:
  // Rows may be computed in blocks, whose results stay in the cache: the faster way counts.
  struct Way {
    double blocks;
    kernels::onednn::BestMatmul matmul;
    std::vector<double> seconds{};  // of a block
  };
  struct Product {
    StepProduct product;
    std::vector<Way> ways{};
  };
  std::vector<Product> products_;
};

nlohmann::ordered_json to_json(const std::vector<StepProduct>& products);

}  // namespace blalm::bench
