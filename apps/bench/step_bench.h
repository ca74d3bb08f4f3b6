// One training step, run again and again: forward, backward, clipping and optimiser, as `blalm train` does them.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/bench/matmul_floor.h"
#include "apps/bench/op_times.h"
#include "apps/bench/workload.h"
#include "apps/common/gradients.h"
#include "optim/optimizer.h"

namespace blalm::bench {

class StepBench {
 public:
  // The workload must be resolved.
  explicit StepBench(const Workload& workload);

  void warm_up();    // one step that does not count
  void step();       // one that does
  void run_floor();  // the step's linear products alone, once, at their best; takes memory of its own

  const Workload& workload() const { return workload_; }
  double tokens_per_second() const;
  std::string report() const;
  nlohmann::ordered_json json() const;

 private:
  struct Sample {
    double seconds = 0, optimizer_seconds = 0;
    PassSeconds passes;
    OpTimes ops;
  };
  Sample run();
  // The step of median time, which all figures of a step are taken from, so that they add up.
  const Sample& median() const;
  bool has_floor() const;
  double tflops() const;  // 6 · parameters · tokens a second
  std::string phase(const char* name, double seconds) const;

  Workload workload_;
  std::unique_ptr<LanguageModel> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::vector<Batch> batches_;
  Tape tape_;
  std::int64_t parameters_ = 0;
  std::vector<Sample> samples_;
  std::vector<double> seconds_;  // of the samples
  double loss_ = 0;
  std::int64_t allocations_ = 0, peak_rss_bytes_ = 0;  // memory before the floor took some
  std::unique_ptr<MatmulFloor> floor_;                 // from its first run on
};

}  // namespace blalm::bench
