// Memory for large blocks: one range of addresses, in which free neighbours become one. What a training step frees as
// activations it can then take again as gradients, which size classes of their own would not allow.
#pragma once

#include <cstddef>
#include <map>

namespace blalm {

inline constexpr std::size_t kHugePage = std::size_t{2} << 20;

// Not thread-safe: the pool has a lock. The same requests from the same state get the same addresses.
class Heap {
 public:
  Heap() = default;
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // A block, aligned to pages; null when the system has no more. `grew` tells whether the system was asked.
  void* acquire(std::size_t bytes, bool& grew);
  void release(void* block, std::size_t bytes);
  bool owns(const void* block) const { return block >= base_ && block < base_ + top_; }
  // Bytes that are free but still held, and giving them back.
  std::size_t cached() const;
  void trim();

 private:
  struct Extent {
    std::size_t bytes;
    bool resident;  // false: given back to the system, zero when it is touched again
  };
  using Extents = std::map<std::size_t, Extent>;  // free ones, by offset
  void reserve();
  bool grow(std::size_t bytes);
  void add(std::size_t offset, Extent extent);

  void* mapping_ = nullptr;
  std::size_t mapped_ = 0;
  std::byte* base_ = nullptr;  // in it, aligned to huge pages
  std::size_t reserved_ = 0;   // addresses from there on
  std::size_t top_ = 0;        // of what may be touched
  bool tried_ = false;
  Extents free_;
};

}  // namespace blalm
