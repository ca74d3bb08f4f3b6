// Byte-pair encoding of one word (Sennrich et al. 2016), on bytes: begin with one symbol a byte, and while some pair of
// neighbours is in the list of merges, join the pair that comes first in the list, the leftmost of its places first.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/pair_map.h"
#include "data/tokenizer/vocabulary.h"

namespace blalm {

// A pair and what it becomes; its place in the list of merges is its rank.
struct Merge {
  TokenPair pair;
  std::int32_t result;
};

// A token of a word and how many of the word's bytes it covers.
struct WordToken {
  std::int32_t id;  // or BpeModel::kNoToken for bytes that are left out
  std::uint32_t size;
};

class BpeModel {
 public:
  struct Options {
    std::optional<std::int32_t> unknown;  // for bytes that have no token; without it they are left out
    bool fuse_unknown = false;            // one unknown token for a run of such bytes
    bool ignore_merges = false;           // a word that is a token by itself needs no merges
  };

  // What one thread needs; its memory grows to about 24 bytes a byte of the longest word.
  struct Workspace {
    struct Symbol {
      std::int32_t id;  // or kNoToken, kJoined
      std::uint32_t previous;
      std::uint32_t next;
    };
    std::vector<Symbol> symbols;       // one a byte: those that begin a token form a list
    std::vector<std::uint64_t> queue;  // heap of rank and place
    std::vector<WordToken> tokens;     // the result
    std::string spelling;
  };

  // A byte that the vocabulary lacks.
  static constexpr std::int32_t kNoToken = -1;
  // Words are at most this long (asserted).
  static constexpr std::size_t kMaxWord = std::size_t{1} << 24;

  BpeModel() = default;
  BpeModel(const Vocabulary& vocabulary, std::vector<Merge> merges, Options options);

  // Sets workspace.tokens to the tokens of `word`. `vocabulary` is that of the constructor.
  void tokenize(std::string_view word, const Vocabulary& vocabulary, Workspace& workspace) const;

  const std::vector<Merge>& merges() const { return merges_; }
  // Bytes that no token stands for: without an unknown token they are lost.
  std::vector<std::uint8_t> missing_bytes() const;

 private:
  static constexpr std::int32_t kJoined = -2;  // now part of a symbol further left

  void push(std::uint32_t place, Workspace& workspace) const;
  void emit(Workspace& workspace) const;

  std::array<std::int32_t, 256> byte_ids_{};
  std::vector<Merge> merges_;
  PairMap<std::uint32_t> ranks_;
  Options options_;
};

}  // namespace blalm
