// Encoder: the working memory of one thread that turns text into ids.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "data/tokenizer/bpe_model.h"
#include "data/tokenizer/encoding.h"
#include "data/tokenizer/normalizer.h"
#include "data/tokenizer/pretokenizer.h"
#include "data/tokenizer/word_cache.h"

namespace blalm {

class Tokenizer;
struct TokenizerParts;

// Keeps the words it has seen, so that text is encoded at tens of megabytes a second. One thread at a time; any number
// of encoders may use one tokenizer, which must outlive them.
class Encoder {
 public:
  explicit Encoder(const Tokenizer& tokenizer);

  // Appends the ids of `text` (any bytes) to `ids`.
  void append(std::string_view text, const EncodeOptions& options, std::vector<std::int32_t>& ids);
  // The same with the place of every token.
  void append(std::string_view text, const EncodeOptions& options, Encoding& encoding);

 private:
  // Where results go, and how places in the text at hand lead to places in the input.
  struct Job {
    std::string_view input;
    std::vector<std::int32_t>* ids;
    std::vector<ByteRange>* ranges;              // null: not asked for
    std::size_t offset = 0;                      // of the text at hand in the input
    const NormalizedText* normalized = nullptr;  // null: the text at hand is part of the input
  };

  void run(Job job, const EncodeOptions& options);
  void encode_words(std::string_view text, std::size_t begin, Job& job);
  void encode_word(const Piece& word, std::size_t begin, Job& job);
  void add_token(std::int32_t id, ByteRange place, Job& job) const;

  const TokenizerParts* parts_;
  Normalizer::Workspace normalizer_;
  PreTokenizer::Workspace pretokenizer_;
  BpeModel::Workspace model_;
  WordCache cache_;
  std::vector<std::int32_t> word_ids_;
};

}  // namespace blalm
