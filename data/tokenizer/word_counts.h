// How often each word occurs: all that training needs to know of the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace blalm {

// A flat hash map from words (any bytes) to counts. Words are numbered from 0 in the order of their first add().
class WordCounts {
 public:
  WordCounts();

  void add(std::string_view word, std::int64_t count = 1);
  void add(const WordCounts& other);

  std::size_t size() const { return words_.size(); }
  std::string_view word(std::size_t index) const;
  std::int64_t count(std::size_t index) const { return words_[index].count; }

 private:
  struct Word {
    std::uint64_t hash;
    std::size_t begin;  // in bytes_
    std::size_t size;
    std::int64_t count;
  };

  void grow();

  std::vector<Word> words_;
  std::vector<std::uint32_t> slots_;  // index of a word plus one; 0: free
  std::vector<char> bytes_;           // all words, one after another
};

}  // namespace blalm
