#include "engine/core/parallel.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "engine/core/cpu.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

// OMP_NUM_THREADS holds where it is set. OpenMP knows of affinity, but not of quotas.
int first_team_size() {
  const int threads = omp_get_max_threads();
  if (std::getenv("OMP_NUM_THREADS") != nullptr) return threads;
  const int usable = std::min(threads, cpu().usable_threads());
  if (usable < threads) omp_set_num_threads(usable);
  return usable;
}

std::atomic<int>& team() {
  static std::atomic<int> size{first_team_size()};
  return size;
}

std::atomic<double> parallel_floor{kParallelFloor};

}  // namespace

int num_threads() { return team().load(std::memory_order_relaxed); }

void set_num_threads(int threads) {
  if (threads < 1) throw ConfigError(expected_got("threads", "1 or more", fmt::format("{}", threads)));
  team().store(threads, std::memory_order_relaxed);
  omp_set_num_threads(threads);  // what oneDNN asks for
}

ParallelFloor::ParallelFloor(double operations) : previous_(parallel_floor.exchange(operations)) {}
ParallelFloor::~ParallelFloor() { parallel_floor.store(previous_); }

bool in_parallel() { return omp_in_parallel() != 0; }

namespace detail {

int team_size(std::int64_t items, double cost_per_item) {
  const double floor = parallel_floor.load(std::memory_order_relaxed);
  if (static_cast<double>(items) * cost_per_item < floor || in_parallel()) return 1;
  return static_cast<int>(std::min<std::int64_t>(num_threads(), items));
}

void run_team(int team, std::int64_t items, void (*body)(void*, std::int64_t, std::int64_t), void* context) {
#pragma omp parallel num_threads(team)
  {
    const std::int64_t size = omp_get_num_threads(), me = omp_get_thread_num();
    const std::int64_t begin = items * me / size, end = items * (me + 1) / size;
    if (begin < end) body(context, begin, end);
  }
}

}  // namespace detail
}  // namespace blalm
