// Notices that others use the processors: a thread that could run and does not is told by the kernel.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace blalm {

class ProcessorWait {
 public:
  ProcessorWait() { restart(); }

  // Share of the time since the last restart that the threads of this process waited for a processor, on average over
  // `threads`: 0.5 is half of the time. Nothing where the kernel does not count it (/proc/self/task/*/schedstat).
  std::optional<double> share(int threads) const;
  double seconds() const;  // since the last restart
  void restart();

 private:
  std::optional<double> waited_;  // seconds of all threads, at the last restart
  std::chrono::steady_clock::time_point since_;
};

}  // namespace blalm
