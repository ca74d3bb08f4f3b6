#include "data/tokenizer/word_cache.h"

#include <xxhash.h>

#include <algorithm>
#include <cassert>

namespace blalm {
namespace {

constexpr std::size_t kSlots = std::size_t{1} << 16;  // a power of two
constexpr std::size_t kMostUsed = kSlots / 8 * 5;

}  // namespace

WordCache::WordCache() : slots_(kSlots) {}

std::uint64_t WordCache::hash(std::string_view word) { return XXH3_64bits(word.data(), word.size()); }

std::size_t WordCache::slot_of(std::string_view word, std::uint64_t hash) const {
  std::size_t at = hash & (kSlots - 1);
  for (;; at = (at + 1) & (kSlots - 1)) {
    const Slot& slot = slots_[at];
    if (!slot.used) return at;
    if (slot.hash == hash && std::string_view(words_.data() + slot.word_begin, slot.word_size) == word) return at;
  }
}

std::optional<std::span<const std::int32_t>> WordCache::find(std::string_view word, std::uint64_t hash) const {
  const Slot& slot = slots_[slot_of(word, hash)];
  if (!slot.used) return std::nullopt;
  return std::span(ids_.data() + slot.ids_begin, slot.ids_size);
}

void WordCache::insert(std::string_view word, std::uint64_t hash, std::span<const std::int32_t> ids) {
  assert(word.size() <= kMaxWord && ids.size() <= kMaxWord);
  if (used_ >= kMostUsed) {
    std::fill(slots_.begin(), slots_.end(), Slot{});
    words_.clear();
    ids_.clear();
    used_ = 0;
  }
  Slot& slot = slots_[slot_of(word, hash)];
  assert(!slot.used);
  slot = {hash,
          static_cast<std::uint32_t>(words_.size()),
          static_cast<std::uint32_t>(ids_.size()),
          static_cast<std::uint16_t>(word.size()),
          static_cast<std::uint16_t>(ids.size()),
          true};
  words_.insert(words_.end(), word.begin(), word.end());
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  ++used_;
}

}  // namespace blalm
