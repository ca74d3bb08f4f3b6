// Training of a byte-level BPE tokenizer: the words of the texts are counted, then the pair of neighbours that occurs
// most often becomes a token, again and again (Sennrich et al. 2016).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/word_counts.h"

namespace blalm {

struct BpeTrainOptions {
  // Special tokens and the 256 bytes included.
  std::int32_t vocab_size = 16000;
  // Pairs that occur less often are not merged.
  std::int64_t min_frequency = 2;
  // Ids from 0 on.
  std::vector<std::string> special_tokens = {"<pad>", "<s>", "</s>"};
  // Regular expression of a word; empty: GPT-2's.
  std::string pattern = {};
};

// The result depends on the texts and options alone, not on the order of the texts or the number of threads. Of pairs
// that occur equally often the one with the smaller ids comes first, as in Hugging Face's trainer.
class BpeTrainer {
 public:
  // ConfigError for a vocabulary without room for special tokens and bytes, or special tokens that clash.
  // FormatError for a pattern that does not compile.
  explicit BpeTrainer(BpeTrainOptions options);
  ~BpeTrainer();

  // Counts the words of more texts, on all threads. A text is what the tokenizer will be given at once, say a line:
  // no word reaches across two.
  void count(std::span<const std::string_view> texts);

  // The tokenizer of all texts counted so far. Its vocabulary is smaller than asked for when the texts hold no more
  // pairs that occur often enough.
  Tokenizer train() const;

 private:
  BpeTrainOptions options_;
  std::unique_ptr<const TokenizerParts> words_of_;  // cuts texts into words
  WordCounts counts_;
};

Tokenizer train_bpe(std::span<const std::string_view> texts, const BpeTrainOptions& options = {});

}  // namespace blalm
