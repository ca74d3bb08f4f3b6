// How many threads share the work of a test.
#pragma once

#include "engine/core/parallel.h"

namespace blalm::test {

// While alive, work is shared out to so many threads.
class Threads {
 public:
  explicit Threads(int threads) : before_(num_threads()) { set_num_threads(threads); }
  ~Threads() { set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

}  // namespace blalm::test
