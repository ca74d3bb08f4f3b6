#include "blalm/core/pool.h"

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

#include "blalm/core/error.h"
#include "blalm/core/parallel.h"

namespace blalm {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

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

struct Pool::Impl {
  mutable std::mutex mutex;
  std::unordered_map<std::size_t, std::vector<Storage*>> free;
  PoolStats stats;
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

Storage* Pool::acquire(std::size_t bytes) {
  if (bytes > (std::size_t{1} << 62)) throw DataError(fmt::format("[pool] out of memory: {} bytes asked for", bytes));
  const std::size_t usable = size_class(bytes);
  Impl& p = impl();
  Storage* storage = nullptr;
  {
    std::lock_guard lock(p.mutex);
    if (auto it = p.free.find(usable); it != p.free.end() && !it->second.empty()) {
      storage = it->second.back();
      it->second.pop_back();
      p.stats.reuses += 1;
      p.stats.cached_bytes -= static_cast<std::int64_t>(usable);
    }
  }
  if (storage == nullptr) {
    storage = make_storage(usable);
    if (storage == nullptr) {
      trim();
      storage = make_storage(usable);
    }
    if (storage == nullptr) throw DataError(fmt::format("[pool] out of memory: {} bytes asked for", usable));
    std::lock_guard lock(p.mutex);
    p.stats.system_allocations += 1;
    // Scratch of the threads of a team: how many hold theirs at the same time is chance, so there is one for each.
    if (in_parallel()) {
      std::vector<Storage*>& spare = p.free[usable];
      while (spare.size() + 1 < static_cast<std::size_t>(num_threads())) {
        Storage* more = make_storage(usable);
        if (more == nullptr) break;
        spare.push_back(more);
        p.stats.system_allocations += 1;
        p.stats.cached_bytes += static_cast<std::int64_t>(usable);
      }
    }
  } else {
    storage->references.store(1, std::memory_order_relaxed);
    storage->version.store(0, std::memory_order_relaxed);
    storage->last_write = {};
    storage->inference = false;
  }
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
  p.stats.cached_bytes += static_cast<std::int64_t>(storage->bytes);
  std::vector<Storage*>& list = p.free[storage->bytes];
  assert(std::find(list.begin(), list.end(), storage) == list.end());  // given back once
  list.push_back(storage);
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
  p.stats.cached_bytes = 0;
}

PoolStats Pool::stats() const {
  std::lock_guard lock(impl().mutex);
  return impl().stats;
}

void Pool::reset_peak() {
  std::lock_guard lock(impl().mutex);
  impl().stats.peak_live_bytes = impl().stats.live_bytes;
}

}  // namespace blalm
