#include "apps/common/processor_wait.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace blalm {
namespace {

// Nanoseconds on a run queue are the second number of each thread's schedstat.
std::optional<double> seconds_waited() {
  std::optional<double> sum;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::ifstream in(task.path() / "schedstat");
    double ran = 0, waited = 0;
    if (in >> ran >> waited) sum = sum.value_or(0) + waited / 1e9;
  }
  return sum;
}

}  // namespace

std::optional<double> ProcessorWait::share(int threads) const {
  const std::optional<double> now = seconds_waited();
  if (!now || !waited_) return {};
  return std::max(*now - *waited_, 0.0) / std::max(seconds() * threads, 1e-9);
}

double ProcessorWait::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since_).count();
}

void ProcessorWait::restart() {
  waited_ = seconds_waited();
  since_ = std::chrono::steady_clock::now();
}

}  // namespace blalm
