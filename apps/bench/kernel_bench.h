// Single calculations at the sizes of a workload: the operations of a training step, the optimiser's updates, and every
// implementation of the matrix product side by side.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <tuple>
#include <vector>

#include "apps/bench/matmul_floor.h"
#include "apps/bench/measure.h"
#include "apps/bench/op_times.h"
#include "apps/bench/workload.h"

namespace blalm::bench {

// The operations of a step of a model with one layer, each size apart.
class OpBench {
 public:
  explicit OpBench(const Workload& workload);
  void run(bool counts);  // all of them once
  std::string report() const;
  nlohmann::ordered_json json() const;

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  // op, shapes of its inputs, kernel
  struct Row {
    Key key;
    OpTime once;                                // flops and bytes of a call
    std::vector<double> forward{}, backward{};  // seconds of each call
  };
  void add(const Tape& tape);

  Workload workload_;
  std::unique_ptr<LanguageModel> model_;
  std::vector<Batch> batches_;
  Tape tape_;
  std::map<Key, std::size_t> index_;
  std::vector<Row> rows_;  // in the order of the step
};

// Something whose time is taken as a whole.
struct Timing {
  std::string name, size;
  Spread seconds;
  double flops = 0, bytes = 0;  // 0: not counted
};
// The updates of AdamW and the iterations of Muon for the parameters of the workload's model.
std::vector<Timing> time_optimizer(const Workload& workload);
std::string table(const std::vector<Timing>& timings);
nlohmann::ordered_json to_json(const std::vector<Timing>& timings);

// One of the products of a step, by our own tiles and by each implementation in the list of kernels::matmul.
struct MatmulTiming {
  LinearShape shape;
  struct Line {
    std::string name;
    double seconds = 0;    // 0: not measured
    std::string reason{};  // why not
  };
  std::vector<Line> lines;  // the last one is oneDNN with a packed weight, MatmulFloor's
};
std::vector<MatmulTiming> time_matmuls(const Workload& workload);
std::string table(const std::vector<MatmulTiming>& timings);
nlohmann::ordered_json to_json(const std::vector<MatmulTiming>& timings);

}  // namespace blalm::bench
