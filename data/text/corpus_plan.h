// What is taken of each file of a corpus: how many words, and which lines for validation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/text/sources.h"
#include "data/text/split.h"
#include "data/text/text_source.h"

namespace blalm {

enum class Part { train, valid };
std::string_view name_of(Part part);  // "train", "valid"

struct CorpusOptions {
  std::int64_t words = kAllWords;  // of training text in all
  double valid_share = 0;          // of the lines of each training file, held out when there are no validation files
  std::uint64_t seed = 0;          // draws the held-out lines
  TextOptions text;
};

// A file that was read: for messages about text without words.
struct FileLines {
  std::filesystem::path path;
  std::int64_t lines = 0;
};
// "no words in 'a.txt', which is empty", "no words in 'a.txt' (empty), 'b.txt' (only blank lines) and 3 more"
std::string no_words_in(const std::vector<FileLines>& files);

struct SourcePlan {
  std::filesystem::path path;
  Part part = Part::train;         // of its lines, those held out apart
  std::int64_t words = kAllWords;  // taken for `part` from the beginning of the file; held-out lines come on top
  HeldOut held_out;  // chosen from all lines of the file: the same under any cap and each time its text comes
  std::filesystem::path same_as{};  // the first file that has the same text, where that is another
};

// Caps count words of training text, held-out lines apart. A cap on the whole corpus that is smaller than the corpus is
// shared out in proportion to what the files have, so that the mix stays the same. When lines are to be held out, or
// the whole corpus is capped, all training files are read once to count their lines and words, and once more where
// both are asked for. Files are told apart by their text, not by their names (same_text.h). DataError: no training
// files, or none with a word in it where they are read; a text that is both for training and for validation; whatever
// TextSource throws.
std::vector<SourcePlan> plan_corpus(const std::vector<SourceSpec>& train, const std::vector<SourceSpec>& valid,
                                    const CorpusOptions& options);

// Shares of `total` in proportion to `available`, none larger than what is available; they add up to
// min(total, Σ available).
std::vector<std::int64_t> share_out(std::int64_t total, std::span<const std::int64_t> available);

}  // namespace blalm
