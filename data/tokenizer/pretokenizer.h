// Pre-tokenizer: cuts text into the words that byte-pair merges never cross.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/regex.h"

namespace blalm {

// GPT-2's pattern: contractions, then runs of letters, digits or others, each with one space before, then whitespace.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// A word and where it begins in the text given to the pre-tokenizer.
struct Piece {
  std::string_view bytes;
  std::size_t begin = 0;
  bool prefixed = false;  // bytes[0] is a space that was put in front: `begin` is where bytes[1] comes from

  Piece slice(std::size_t from, std::size_t to) const;
};

// What becomes of the matches of a pattern and of the stretches between them; names as in tokenizer files.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

class PreTokenizer {
 public:
  using Sink = std::function<void(const Piece&)>;

  // What one thread needs to run a pre-tokenizer.
  struct Workspace {
    RegexWorkspace regex;
    std::deque<std::string> buffers;  // one a step; a deque, for pieces point into them
  };

  // Steps apply in order, each to every piece that the one before made.
  // A space in front of every piece that has none.
  void add_prefix_space();
  // A cut at the matches of `pattern` (or, inverted, at all else). `spelled`: the pattern sees the piece as it is
  // spelled in the byte-level alphabet.
  void add_split(Regex pattern, SplitBehavior behavior, bool invert, bool spelled);

  // Calls sink(piece) for the words of `text`, from first to last. Any bytes will do: a pattern sees the valid UTF-8
  // between invalid bytes, and each run of invalid bytes is a piece of its own.
  void for_each(std::string_view text, Workspace& workspace, const Sink& sink) const;

 private:
  struct Split {
    Regex pattern;
    SplitBehavior behavior;
    bool invert;
    bool spelled;
  };
  struct Step {
    std::optional<Split> split;  // nothing: a prefix space
  };

  void run(std::size_t step, const Piece& piece, Workspace& workspace, const Sink& sink) const;
  template <class Each>
  static void split_valid(const Split& split, std::string_view text, RegexWorkspace& workspace, Each&& each);
  template <class Each>
  static void split_bytes(const Split& split, std::string_view text, RegexWorkspace& workspace, Each&& each);

  std::vector<Step> steps_;
};

}  // namespace blalm
