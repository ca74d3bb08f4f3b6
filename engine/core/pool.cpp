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
// Blocks up to kCarved are cut from slabs, so that they lie in huge pages whatever their size: a step touches hundreds
// of MB, and a miss in the table of pages costs more than one in the cache. A slab is address space; memory comes as it
// is touched. Sanitizers watch the ends of blocks that malloc gave.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kCarved = 0;
#else
constexpr std::size_t kCarved = std::size_t{32} << 20;
#endif
constexpr std::size_t kSlab = std::size_t{256} << 20;

std::size_t block_bytes(std::size_t usable) { return usable + sizeof(Storage); }

// Null when the system has no more.
std::byte* system_allocate(std::size_t bytes) {
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* p = std::aligned_alloc(alignment, rounded);
#ifdef MADV_HUGEPAGE
  if (p != nullptr && bytes >= kHugePage) madvise(p, rounded, MADV_HUGEPAGE);  // a hint: failure is harmless
#endif
  return static_cast<std::byte*>(p);
}

// Takes the pages that lie wholly in a block from it; they come back, as zeros, when they are touched.
void give_pages_back(Storage* storage) {
  constexpr std::uintptr_t kPage = 4096;
  const auto begin = (reinterpret_cast<std::uintptr_t>(storage->data()) + kPage - 1) / kPage * kPage;
  const auto end = (reinterpret_cast<std::uintptr_t>(storage->data()) + storage->bytes) / kPage * kPage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

using Blocks = std::unordered_map<std::size_t, std::vector<Storage*>>;

Storage* take(Blocks& blocks, std::size_t usable) {
  const auto it = blocks.find(usable);
  if (it == blocks.end() || it->second.empty()) return nullptr;
  Storage* storage = it->second.back();
  it->second.pop_back();
  return storage;
}

}  // namespace

struct Pool::Impl {
  mutable std::mutex mutex;
  Blocks free;    // with their memory
  Blocks vacant;  // carved, without memory
  std::byte* slab = nullptr;
  std::size_t slab_left = 0;
  PoolStats stats;

  // The functions below are called with the mutex held.
  Storage* make(std::size_t usable);
  std::byte* carve(std::size_t bytes);
  void trim();
};

// Null when the system has no more.
Storage* Pool::Impl::make(std::size_t usable) {
  std::byte* memory = nullptr;
  if (Storage* storage = take(vacant, usable)) {
    memory = reinterpret_cast<std::byte*>(storage);
  } else {
    memory = usable <= kCarved ? carve(block_bytes(usable)) : system_allocate(block_bytes(usable));
    if (memory == nullptr) return nullptr;
  }
  auto* storage = new (memory) Storage;
  storage->bytes = usable;
  stats.system_allocations += 1;
  return storage;
}

// The rest of a slab that is too small is left: it was never touched.
std::byte* Pool::Impl::carve(std::size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (bytes > slab_left) {
    std::byte* more = system_allocate(kSlab);
    if (more == nullptr) return nullptr;
    slab = more;
    slab_left = kSlab;
  }
  std::byte* memory = slab;
  slab += bytes;
  slab_left -= bytes;
  return memory;
}

void Pool::Impl::trim() {
  for (auto& [bytes, list] : free)
    for (Storage* storage : list) {
      if (bytes <= kCarved) {
        give_pages_back(storage);
        vacant[bytes].push_back(storage);
      } else {
        storage->~Storage();
        std::free(storage);
      }
    }
  free.clear();
  stats.cached_bytes = 0;
}

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
    storage = take(p.free, usable);
    if (storage != nullptr) {
      p.stats.reuses += 1;
      p.stats.cached_bytes -= static_cast<std::int64_t>(usable);
      storage->references.store(1, std::memory_order_relaxed);
      storage->version.store(0, std::memory_order_relaxed);
      storage->last_write = {};
      storage->inference = false;
    } else {
      storage = p.make(usable);
      if (storage == nullptr) {
        p.trim();
        storage = p.make(usable);
      }
      if (storage == nullptr) throw DataError(fmt::format("[pool] out of memory: {} bytes asked for", usable));
      // Scratch of the threads of a team: how many hold theirs at the same time is chance, so there is one for each.
      if (in_parallel()) {
        std::vector<Storage*>& spare = p.free[usable];
        while (spare.size() + 1 < static_cast<std::size_t>(num_threads())) {
          Storage* more = p.make(usable);
          if (more == nullptr) break;
          spare.push_back(more);
          p.stats.cached_bytes += static_cast<std::int64_t>(usable);
        }
      }
    }
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
  std::lock_guard lock(impl().mutex);
  impl().trim();
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
