// Threads: one OpenMP team of one size. Work below a cost floor stays on the calling thread.
#pragma once

#include <cstdint>
#include <exception>
#include <mutex>

namespace blalm {

// Size of the team; at first the number of processors this process may use (or OMP_NUM_THREADS).
int num_threads();
// 1 or more, else ConfigError. Applies to the whole process.
void set_num_threads(int threads);
// True inside a parallel_for body: nested calls run serially.
bool in_parallel();

// Below this many elementary operations (about 20 us of work) a region costs more than it gives.
inline constexpr double kParallelFloor = 32768;

// For tests: while alive, the process has another floor. 0: nothing is too small to be shared out.
class ParallelFloor {
 public:
  explicit ParallelFloor(double operations);
  ~ParallelFloor();
  ParallelFloor(const ParallelFloor&) = delete;
  ParallelFloor& operator=(const ParallelFloor&) = delete;

 private:
  double previous_;
};

namespace detail {
int team_size(std::int64_t items, double cost_per_item);
// Calls body(context, begin, end) on every thread of a team with its share of [0, items).
void run_team(int team, std::int64_t items, void (*body)(void*, std::int64_t, std::int64_t), void* context);
}  // namespace detail

// Calls body(begin, end) on disjoint ranges that cover [0, items). `cost_per_item` is a rough count of elementary
// operations. Ranges depend on the number of threads: a body must not carry sums across items (see parallel_blocks).
// The first exception thrown by a body is thrown again on the calling thread.
template <class Body>
void parallel_for(std::int64_t items, double cost_per_item, Body&& body) {
  if (items <= 0) return;
  const int team = detail::team_size(items, cost_per_item);
  if (team <= 1) {
    body(std::int64_t{0}, items);
    return;
  }
  struct Context {
    Body& body;
    std::exception_ptr error;
    std::mutex mutex;
  } context{body, nullptr, {}};
  detail::run_team(
      team, items,
      [](void* p, std::int64_t begin, std::int64_t end) {
        auto& c = *static_cast<Context*>(p);
        try {
          c.body(begin, end);
        } catch (...) {
          std::lock_guard lock(c.mutex);
          if (!c.error) c.error = std::current_exception();
        }
      },
      &context);
  if (context.error) std::rethrow_exception(context.error);
}

// Calls body(block, begin, end) for blocks of a fixed size, whatever the number of threads: partial sums kept a block
// and added in block order have the same bits on 1 and on N threads.
template <class Body>
void parallel_blocks(std::int64_t items, std::int64_t block, double cost_per_item, Body&& body) {
  const std::int64_t blocks = (items + block - 1) / block;
  parallel_for(blocks, cost_per_item * static_cast<double>(block), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b)
      body(b, b * block, b * block + block < items ? b * block + block : items);
  });
}

}  // namespace blalm
