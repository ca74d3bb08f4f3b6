// A flat hash map from pairs of token ids: open addressing with linear probing, no memory of its own for an entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace blalm {

struct TokenPair {
  std::int32_t left;
  std::int32_t right;

  // Left first, then right: the order of the pairs.
  std::uint64_t key() const {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  }
};

// Ids are not negative, so a pair of two negative ones can mark free slots; pairs with one negative id are never found.
template <class Value>
class PairMap {
 public:
  PairMap() { clear(kFirstSlots); }

  const Value* find(TokenPair pair) const {
    const Slot& slot = slots_[slot_of(pair.key())];
    return slot.key == kFree ? nullptr : &slot.value;
  }
  // The value of `pair`; one as Value() is put in where there was none.
  Value& operator[](TokenPair pair) {
    if ((used_ + 1) * 2 > slots_.size()) grow();
    Slot& slot = slots_[slot_of(pair.key())];
    if (slot.key == kFree) {
      slot.key = pair.key();
      ++used_;
    }
    return slot.value;
  }
  std::size_t size() const { return used_; }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  static constexpr int kFirstSlots = 10;  // a power of two
  struct Slot {
    std::uint64_t key = kFree;
    Value value{};
  };

  std::size_t slot_of(std::uint64_t key) const {
    // Fibonacci hashing: the top bits of the product depend on all bits of the key.
    std::size_t slot = static_cast<std::size_t>((key ^ key >> 32) * 0x9E3779B97F4A7C15u >> (64 - bits_));
    while (slots_[slot].key != key && slots_[slot].key != kFree) slot = (slot + 1) & (slots_.size() - 1);
    return slot;
  }
  void clear(int bits) {
    bits_ = bits;
    slots_.clear();
    slots_.resize(std::size_t{1} << bits);
    used_ = 0;
  }
  void grow() {
    std::vector<Slot> old = std::move(slots_);
    clear(bits_ + 1);
    for (Slot& slot : old) {
      if (slot.key == kFree) continue;
      slots_[slot_of(slot.key)] = std::move(slot);
      ++used_;
    }
  }

  std::vector<Slot> slots_;
  int bits_ = 0;
  std::size_t used_ = 0;
};

}  // namespace blalm
