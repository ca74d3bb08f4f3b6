// Words already encoded: text is mostly the same few thousand words, and looking one up costs far less than merging it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace blalm {

// A flat hash map from short words to their token ids, bounded in memory (about 4 MB): when full it starts afresh.
class WordCache {
 public:
  static constexpr std::size_t kMaxWord = 64;  // bytes; longer words hardly repeat

  WordCache();

  static std::uint64_t hash(std::string_view word);
  // The ids of `word`, good until the next insert.
  std::optional<std::span<const std::int32_t>> find(std::string_view word, std::uint64_t hash) const;
  // Puts in a word that is not there (asserted to be at most kMaxWord long).
  void insert(std::string_view word, std::uint64_t hash, std::span<const std::int32_t> ids);

 private:
  struct Slot {
    std::uint64_t hash;
    std::uint32_t word_begin;
    std::uint32_t ids_begin;
    std::uint16_t word_size;
    std::uint16_t ids_size;
    bool used;
  };

  std::size_t slot_of(std::string_view word, std::uint64_t hash) const;

  std::vector<Slot> slots_;
  std::size_t used_ = 0;
  std::vector<char> words_;        // all words, one after another
  std::vector<std::int32_t> ids_;  // all ids, likewise
};

}  // namespace blalm
