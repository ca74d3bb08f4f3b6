// Pooled storage: every tensor's memory comes from here. Freed blocks are kept, small ones by size class and large ones
// in one heap (heap.h), and handed out again, so after its first step a training step asks the system for nothing;
// stats() proves it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace blalm {

// A line of source: as a default argument, the caller's. (std::source_location, which clang++ 14 has not.)
struct Location {
  const char* file = "";
  unsigned line_number = 0;

  static constexpr Location current(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    return {file, line};
  }
  const char* file_name() const { return file; }
  unsigned line() const { return line_number; }
  std::string str() const;        // "engine/ops/linear.cpp:42"
  std::string short_str() const;  // "linear.cpp:42"
};

// What somebody worked out from the numbers of a storage and wants to find again. Goes when the storage does.
struct Derived {
  virtual ~Derived() = default;
};

// One block of memory, 64-byte aligned, preceded by this header. Shared by reference counting.
struct alignas(64) Storage {
  std::atomic<std::int32_t> references{1};
  std::atomic<std::uint32_t> version{0};   // counts writes through mutable access
  std::size_t bytes = 0;                   // usable size
  Location last_write{};                   // who wrote last, for the saved-tensor check
  bool inference = false;                  // made in inference mode: may not be saved for backward
  std::atomic<Derived*> derived{nullptr};  // owned; see derived.h

  std::byte* data() { return reinterpret_cast<std::byte*>(this) + sizeof(Storage); }
};

struct PoolStats {
  std::int64_t system_allocations = 0;  // requests since the start for which the system was asked for memory
  std::int64_t reuses = 0;              // requests served from what was free
  std::int64_t live_bytes = 0;          // in use by tensors now
  std::int64_t peak_live_bytes = 0;     // highest live_bytes since the last reset_peak()
  std::int64_t cached_bytes = 0;        // free, kept for reuse
};

// Thread-safe. One for the process: storage may outlive any object that would own a pool.
class Pool {
 public:
  static Pool& instance();

  // A block of at least `bytes` bytes, uninitialised. Throws DataError when the system has no more.
  Storage* acquire(std::size_t bytes);
  void release(Storage* storage);
  // Gives the memory of free blocks back to the system.
  void trim();

  PoolStats stats() const;
  void reset_peak();

  // Tests: fill each block handed out with NaN, so that a kernel which forgets an element is seen.
  void set_poison(bool on) { poison_.store(on, std::memory_order_relaxed); }

  // Size class of a small request: steps of 64 bytes up to 1 KiB, then eight steps an octave (at most 12.5% is wasted).
  static std::size_t size_class(std::size_t bytes);

 private:
  Pool() = default;
  struct Impl;
  static Impl& impl();
  std::atomic<bool> poison_{false};
};

}  // namespace blalm
