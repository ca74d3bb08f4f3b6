#include "data/tokenizer/word_counts.h"

#include <xxhash.h>

#include <limits>

#include "engine/core/error.h"

namespace blalm {
namespace {

constexpr std::size_t kFirstSlots = 1 << 12;  // a power of two

}  // namespace

WordCounts::WordCounts() : slots_(kFirstSlots) {}

std::string_view WordCounts::word(std::size_t index) const {
  return {bytes_.data() + words_[index].begin, words_[index].size};
}

void WordCounts::add(std::string_view word, std::int64_t count) {
  const std::uint64_t hash = XXH3_64bits(word.data(), word.size());
  std::size_t slot = hash & (slots_.size() - 1);
  for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    const std::size_t index = slots_[slot] - 1;
    if (words_[index].hash != hash || this->word(index) != word) continue;
    words_[index].count += count;
    return;
  }
  if (words_.size() == std::numeric_limits<std::uint32_t>::max()) {
    throw DataError(expected_got("tokenizer", "at most 4 billion different words", "more"));
  }
  words_.push_back({hash, bytes_.size(), word.size(), count});
  bytes_.insert(bytes_.end(), word.begin(), word.end());
  slots_[slot] = static_cast<std::uint32_t>(words_.size());
  if (words_.size() * 2 > slots_.size()) grow();
}

void WordCounts::add(const WordCounts& other) {
  for (std::size_t i = 0; i < other.size(); ++i) add(other.word(i), other.count(i));
}

void WordCounts::grow() {
  slots_.assign(slots_.size() * 2, 0);
  for (std::size_t i = 0; i < words_.size(); ++i) {
    std::size_t slot = words_[i].hash & (slots_.size() - 1);
    while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = static_cast<std::uint32_t>(i + 1);
  }
}

}  // namespace blalm
