#include "engine/core/pool.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <unordered_map>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/heap.h"
#include "engine/core/parallel.h"

namespace blalm {
namespace {

// Blocks of this size and more come from the heap.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t kLarge = SIZE_MAX;  // blocks of the system's, around which the sanitizer watches
#else
constexpr std::size_t kLarge = std::size_t{1} << 20;
#endif

std::size_t block_bytes(std::size_t usable) { return usable + sizeof(Storage); }

void* system_allocate(std::size_t bytes) {
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* p = std::aligned_alloc(alignment, rounded);
#ifdef MADV_HUGEPAGE
  if (p != nullptr && bytes >= kHugePage) madvise(p, rounded, MADV_HUGEPAGE);  // a hint: failure is harmless
#endif
  return p;
}

// Null when the system has no more.
Storage* make_storage(std::size_t usable) {
  void* memory = system_allocate(block_bytes(usable));
  if (memory == nullptr) return nullptr;
  auto* storage = new (memory) Storage;
  storage->bytes = usable;
  return storage;
}

}  // namespace

std::string Location::str() const { return fmt::format("{}:{}", file, line_number); }

std::string Location::short_str() const {
  const std::string text = str();
  return text.substr(text.find_last_of('/') + 1);
}

struct Pool::Impl {
  mutable std::mutex mutex;
  std::unordered_map<std::size_t, std::vector<Storage*>> free;
  std::size_t cached = 0;  // bytes in `free`
  Heap heap;
  PoolStats stats;

  Storage* from_class(std::size_t usable);
  Storage* from_heap(std::size_t usable);
};

// Neither is ever destroyed: tensors in other static objects may be released later.
Pool& Pool::instance() {
  static Pool* pool = new Pool;
  return *pool;
}

Pool::Impl& Pool::impl() {
  static Impl* impl = new Impl;
  return *impl;
}

std::size_t Pool::size_class(std::size_t bytes) {
  bytes = std::max<std::size_t>(bytes, 64);
  if (bytes <= 1024) return (bytes + 63) / 64 * 64;
  const std::size_t step = std::bit_floor(bytes - 1) / 8;
  return (bytes + step - 1) / step * step;
}

// A free block of the class, or a new one from the system; null when that has no more.
Storage* Pool::Impl::from_class(std::size_t usable) {
  {
    std::lock_guard lock(mutex);
    if (auto it = free.find(usable); it != free.end() && !it->second.empty()) {
      Storage* storage = it->second.back();
      it->second.pop_back();
      stats.reuses += 1;
      cached -= usable;
      return new (storage) Storage;
    }
  }
  Storage* storage = make_storage(usable);
  if (storage == nullptr) return nullptr;
  std::lock_guard lock(mutex);
  stats.system_allocations += 1;
  // Scratch of the threads of a team: how many hold theirs at the same time is chance, so there is one for each.
  if (in_parallel()) {
    std::vector<Storage*>& spare = free[usable];
    while (spare.size() + 1 < static_cast<std::size_t>(num_threads())) {
      Storage* more = make_storage(usable);
      if (more == nullptr) break;
      spare.push_back(more);
      stats.system_allocations += 1;
      cached += usable;
    }
  }
  return storage;
}

Storage* Pool::Impl::from_heap(std::size_t usable) {
  std::lock_guard lock(mutex);
  bool grew = false;
  void* memory = heap.acquire(block_bytes(usable), grew);
  if (memory == nullptr) return nullptr;
  (grew ? stats.system_allocations : stats.reuses) += 1;
  return new (memory) Storage;
}

namespace {

[[noreturn]] void refuse(std::size_t bytes) {
  throw DataError(expected_got("pool", fmt::format("memory for {} bytes more", bytes), "none from the system",
                               "a smaller model, batch or sequence needs less"));
}

}  // namespace

Storage* Pool::acquire(std::size_t bytes) {
  if (bytes > (std::size_t{1} << 62)) refuse(bytes);
  Impl& p = impl();
  // Which thread of a team asks first is chance, and so would be the places in the heap.
  const bool large = bytes >= kLarge && !in_parallel();
  const std::size_t usable = large ? (bytes + 63) / 64 * 64 : size_class(bytes);
  const auto get = [&] { return large ? p.from_heap(usable) : p.from_class(usable); };
  Storage* storage = get();
  if (storage == nullptr) {
    trim();
    storage = get();
  }
  if (storage == nullptr) refuse(usable);
  storage->bytes = usable;
  {
    std::lock_guard lock(p.mutex);
    p.stats.live_bytes += static_cast<std::int64_t>(usable);
    p.stats.peak_live_bytes = std::max(p.stats.peak_live_bytes, p.stats.live_bytes);
  }
  if (poison_.load(std::memory_order_relaxed)) std::memset(storage->data(), 0xff, usable);
  return storage;
}

void Pool::release(Storage* storage) {
  delete storage->derived.exchange(nullptr, std::memory_order_acq_rel);  // may release storages in turn
  Impl& p = impl();
  std::lock_guard lock(p.mutex);
  p.stats.live_bytes -= static_cast<std::int64_t>(storage->bytes);
  if (p.heap.owns(storage)) {
    p.heap.release(storage, block_bytes(storage->bytes));
  } else {
    p.cached += storage->bytes;
    std::vector<Storage*>& list = p.free[storage->bytes];
    assert(std::find(list.begin(), list.end(), storage) == list.end());  // given back once
    list.push_back(storage);
  }
}

void Pool::trim() {
  Impl& p = impl();
  std::lock_guard lock(p.mutex);
  for (auto& [bytes, list] : p.free)
    for (Storage* storage : list) {
      storage->~Storage();
      std::free(storage);
    }
  p.free.clear();
  p.cached = 0;
  p.heap.trim();
}

PoolStats Pool::stats() const {
  Impl& p = impl();
  std::lock_guard lock(p.mutex);
  PoolStats stats = p.stats;
  stats.cached_bytes = static_cast<std::int64_t>(p.cached + p.heap.cached());
  return stats;
}

void Pool::reset_peak() {
  std::lock_guard lock(impl().mutex);
  impl().stats.peak_live_bytes = impl().stats.live_bytes;
}

}  // namespace blalm
