// metrics.csv: one line a step, flushed as it is written, so that a run can be followed and survives being killed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "blalm/apps/common/append_file.h"

namespace blalm {

struct MetricsRow {
  std::int64_t step = 0, words = 0, tokens = 0;  // seen so far
  double seconds = 0;                            // of training so far
  double loss = 0;                               // mean cross-entropy of the step, nats
  std::optional<double> valid_loss;              // when it was measured after this step
  std::optional<double> bits_per_byte;           // of the validation text
  double lr = 0, grad_norm = 0, tokens_per_second = 0;
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
