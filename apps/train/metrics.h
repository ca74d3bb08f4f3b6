// metrics.csv: one line a step, in the file as it is written, so that a run can be followed and survives being killed.
// The line of step 0 holds the validation before the first step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "apps/common/append_file.h"

namespace blalm {

struct MetricsRow {
  std::int64_t step = 0, words = 0, tokens = 0;  // seen so far
  double seconds = 0;                            // of training so far
  std::optional<double> loss;                    // mean cross-entropy of the step, nats
  std::optional<double> valid_loss;              // when it was measured after this step
  std::optional<double> bits_per_byte;           // of the validation text
  std::optional<double> lr, grad_norm, tokens_per_second;
};

class Metrics {
 public:
  // Continues the file with what comes after `step`: later lines, and a last line that was cut, are removed. 0: anew.
  Metrics(const std::filesystem::path& file, std::int64_t step);

  void add(const MetricsRow& row);  // DataError: full disk

 private:
  AppendFile file_;
};

}  // namespace blalm
