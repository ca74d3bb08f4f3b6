#include "engine/core/heap.h"

#include <sys/mman.h>

#include <cstdint>
#include <iterator>

namespace blalm {
namespace {

constexpr std::size_t kPage = 4096, kMostReserved = std::size_t{1} << 42;

std::size_t round_up(std::size_t bytes, std::size_t unit) { return (bytes + unit - 1) / unit * unit; }

}  // namespace

// Addresses cost nothing until they are made accessible; where they are limited (ulimit -v), fewer will do.
void Heap::reserve() {
  tried_ = true;
  for (std::size_t bytes = kMostReserved; bytes >= 64 * kHugePage; bytes /= 2) {
    void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) continue;
    mapping_ = p;
    mapped_ = bytes;
    const auto address = reinterpret_cast<std::uintptr_t>(p);
    const std::size_t skip = round_up(address, kHugePage) - address;
    base_ = static_cast<std::byte*>(p) + skip;
    reserved_ = bytes - skip;
    return;
  }
}

Heap::~Heap() {
  if (mapping_ != nullptr) munmap(mapping_, mapped_);
}

bool Heap::grow(std::size_t bytes) {
  if (!tried_) reserve();
  const std::size_t more = round_up(bytes, kHugePage);
  if (more > reserved_ - top_) return false;
  if (mprotect(base_ + top_, more, PROT_READ | PROT_WRITE) != 0) return false;
#ifdef MADV_HUGEPAGE
  madvise(base_ + top_, more, MADV_HUGEPAGE);  // a hint: failure is harmless
#endif
  top_ += more;
  add(top_ - more, {more, false});
  return true;
}

void Heap::add(std::size_t offset, Extent extent) {
  auto next = free_.lower_bound(offset);
  if (next != free_.end() && next->first == offset + extent.bytes) {
    extent = {extent.bytes + next->second.bytes, extent.resident || next->second.resident};
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    auto& [before, left] = *std::prev(next);
    if (before + left.bytes == offset) {
      left = {left.bytes + extent.bytes, left.resident || extent.resident};
      return;
    }
  }
  free_.emplace(offset, extent);
}

void* Heap::acquire(std::size_t bytes, bool& grew) {
  bytes = round_up(bytes, kPage);
  grew = false;
  // The smallest that is large enough, the lowest of those.
  const auto find = [&] {
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it)
      if (it->second.bytes >= bytes && (best == free_.end() || it->second.bytes < best->second.bytes)) best = it;
    return best;
  };
  auto found = find();
  if (found == free_.end()) {
    // What is free at the end needs only the rest.
    const std::size_t at_end = free_.empty() || free_.rbegin()->first + free_.rbegin()->second.bytes != top_
                                   ? 0
                                   : free_.rbegin()->second.bytes;
    if (!grow(bytes - at_end)) return nullptr;
    grew = true;
    found = find();
  }
  const std::size_t offset = found->first;
  const Extent rest{found->second.bytes - bytes, found->second.resident};
  free_.erase(found);
  if (rest.bytes > 0) free_.emplace(offset + bytes, rest);
  return base_ + offset;
}

void Heap::release(void* block, std::size_t bytes) {
  add(static_cast<std::size_t>(static_cast<std::byte*>(block) - base_), {round_up(bytes, kPage), true});
}

std::size_t Heap::cached() const {
  std::size_t bytes = 0;
  for (const auto& [offset, extent] : free_)
    if (extent.resident) bytes += extent.bytes;
  return bytes;
}

void Heap::trim() {
  for (auto& [offset, extent] : free_) {
    if (extent.resident) madvise(base_ + offset, extent.bytes, MADV_DONTNEED);
    extent.resident = false;
  }
}

}  // namespace blalm
