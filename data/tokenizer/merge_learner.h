// The merges of a BPE from word counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <queue>
#include <vector>

#include "data/tokenizer/bpe_model.h"
#include "data/tokenizer/pair_map.h"
#include "data/tokenizer/vocabulary.h"
#include "data/tokenizer/word_counts.h"

namespace blalm {

// Every pair of neighbours knows its count and its places, so that a merge touches only where it happens: the work for
// all merges grows with the text, not with the text times the vocabulary.
class MergeLearner {
 public:
  // `vocabulary` has the 256 bytes and the special tokens; new tokens go in there.
  MergeLearner(const WordCounts& words, Vocabulary& vocabulary);

  // Merges the most frequent pair until the vocabulary has `vocab_size` ids or no pair occurs `min_frequency` times.
  std::vector<Merge> learn(std::int32_t vocab_size, std::int64_t min_frequency);

 private:
  static constexpr std::int32_t kJoined = -1;  // now part of a symbol further left
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  struct Symbol {
    std::int32_t id;
    std::uint32_t previous;  // in the same word, or kNone
    std::uint32_t next;
    std::uint32_t word;
  };
  struct Pair {
    TokenPair tokens;
    std::int64_t count = 0;
    std::vector<std::uint32_t> places;  // of the left symbol; some may be out of date
    bool merged = false;
  };
  // A pair as it stood when it was queued. The greatest has the largest count, then the smallest ids.
  struct Candidate {
    std::int64_t count;
    std::uint64_t key;
    std::uint32_t pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : key > other.key;
    }
  };

  void add_word(std::string_view word, std::uint32_t index, const std::vector<std::int32_t>& byte_ids);
  std::uint32_t pair_index(TokenPair tokens);
  void count_up(std::uint32_t place);
  void count_down(std::uint32_t place);
  void enqueue(std::uint32_t pair);
  void merge_everywhere(std::uint32_t pair, std::int32_t result);
  std::int64_t weight(std::uint32_t place) const { return words_.count(symbols_[place].word); }

  const WordCounts& words_;
  Vocabulary& vocabulary_;
  std::vector<Symbol> symbols_;  // of all words, one after another: at first one a byte
  std::vector<Pair> pairs_;
  PairMap<std::uint32_t> pair_numbers_;  // index into pairs_ plus one
  std::vector<std::uint32_t> grown_;     // pairs with new places
  std::priority_queue<Candidate> queue_;
};

}  // namespace blalm
