// How many tokens, words and bytes each line has: what tells the words seen up to any token of a shard.
//
// Three small numbers a line (about three bytes) instead of a bit or a count a token: this needs nothing from the
// tokenizer but ids, holds for any of them (one token may hold several words), and gives lines and bytes as well.
// At the end of a line the counts are exact. Inside it, its words and bytes count in proportion to its tokens, rounded
// down: a word that a block boundary cuts belongs to neither side by nature. Differences between any two tokens add up
// without drift, so that an epoch has exactly the words of the text that it covers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace blalm {

struct LineCounts {
  std::int64_t tokens = 0;  // separators included
  std::int64_t words = 0;
  std::int64_t bytes = 0;  // TextLine::bytes

  bool operator==(const LineCounts&) const = default;
};

inline constexpr std::int64_t kMaxLineCount = (std::int64_t{1} << 31) - 1;  // of each: products fit in 63 bits

class LineTable {
 public:
  // Each count in [0, kMaxLineCount].
  void add(const LineCounts& line);
  void clear();
  std::span<const std::byte> encoded() const { return encoded_; }
  std::int64_t lines() const { return lines_; }
  const LineCounts& total() const { return total_; }

 private:
  std::vector<std::byte> encoded_;
  std::int64_t lines_ = 0;
  LineCounts total_;
};

// Walks through an encoded table.
class LineTableReader {
 public:
  explicit LineTableReader(std::span<const std::byte> encoded) : rest_(encoded) {}

  enum class Step { line, end, damaged };
  Step next(LineCounts& line);

 private:
  std::span<const std::byte> rest_;
};

// What the first `tokens` tokens of a line count for.
LineCounts part_of(const LineCounts& line, std::int64_t tokens);

}  // namespace blalm
