// Added tokens: strings that are found in the text itself, before any of it is cut into words; <s> is one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/pair_map.h"

namespace blalm {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the whitespace before it along
  bool rstrip = false;       // takes the whitespace after it along
  bool normalized = false;   // found in the normalized text rather than in the text as it came
  bool special = false;
};

// Finds a set of added tokens: from left to right, the longest of those that begin at a place.
class AddedTokenFinder {
 public:
  struct Match {
    std::int32_t token;  // index in the order of add()
    std::size_t begin;
    std::size_t end;
  };

  // `content` is what to look for, not empty; the flags are those of `token`.
  void add(const AddedToken& token, std::string_view content);
  bool empty() const { return tokens_.empty(); }

  // Calls text(begin, end) for the stretches that are not empty and token(id, begin, end) for the tokens between them.
  // Special tokens are found only if `special`.
  template <class Text, class Found>
  void split(std::string_view input, bool special, Text&& text, Found&& found) const {
    std::size_t done = 0;
    Match match{};
    for (std::size_t from = 0; next(input, from, done, special, match); from = done = match.end) {
      if (done < match.begin) text(done, match.begin);
      found(tokens_[static_cast<std::size_t>(match.token)].id, match.begin, match.end);
    }
    if (done < input.size()) text(done, input.size());
  }

 private:
  // The first match at or after `from`, stripped whitespace included; text before `done` is taken.
  bool next(std::string_view input, std::size_t from, std::size_t done, bool special, Match& match) const;
  bool longest_at(std::string_view input, std::size_t at, bool special, Match& match) const;

  struct Flags {
    std::int32_t id;
    bool single_word;
    bool lstrip;
    bool rstrip;
    bool special;
  };
  std::vector<Flags> tokens_;
  std::array<bool, 256> first_{};            // bytes that some token begins with
  PairMap<std::int32_t> children_;           // a trie: (node, byte) to node; node 0 is the root
  std::vector<std::int32_t> ending_ = {-1};  // a node: the token that ends there, or -1
};

}  // namespace blalm
