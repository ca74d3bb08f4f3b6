// What a tokenizer is made of, and the way from and to its files. Only this folder includes it.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/added_tokens.h"
#include "data/tokenizer/bpe_model.h"
#include "data/tokenizer/decoder.h"
#include "data/tokenizer/normalizer.h"
#include "data/tokenizer/pretokenizer.h"
#include "data/tokenizer/vocabulary.h"

namespace blalm {

// Tokens put around a text on request, and how the places of tokens are told.
struct PostProcessor {
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> after;
  bool trim_offsets = false;  // the range of a token leaves out the spaces around it
};

// The way of a text to ids: added tokens are found, the rest is normalized, added tokens of the normalized kind are
// found, the rest is cut into words, each word becomes tokens. And back: bytes of the tokens, decoder.
struct TokenizerParts {
  // The tokenizer.json without its lists (model.vocab, model.merges, added_tokens). The normalizer, pre-tokenizer,
  // post-processor, decoder and the options of the model are compiled from it; it is written back as it is.
  std::string frame;

  Vocabulary vocabulary;
  std::vector<AddedToken> added;
  BpeModel model;

  Normalizer normalizer;
  PreTokenizer pretokenizer;
  PostProcessor post_processor;
  Decoder decoder;
  AddedTokenFinder in_text;
  AddedTokenFinder in_normalized;
};

// The frame of a plain byte-level BPE: no normalizer, GPT-2's pattern without a prefix space, ByteLevel decoder.
// With a pattern (a regular expression): that in place of GPT-2's.
std::string default_frame(std::string_view pattern = {});

// Fills in all that is compiled: parts.frame, vocabulary and added must be set. `name` stands for the file in errors.
// FormatError naming the field that is wrong or not supported.
void compile(TokenizerParts& parts, std::vector<Merge> merges, const std::string& name);

// A tokenizer.json. FormatError naming the field that is wrong or not supported.
TokenizerParts parse_tokenizer_json(std::string_view text, const std::string& name);
// Where a document's merges were read when its vocabulary and they had files of their own; errors name these.
struct MergeLines {
  std::string file;
  std::vector<std::int64_t> numbers;  // of the line of each merge
};
TokenizerParts read_tokenizer_document(nlohmann::json document, const std::string& name,
                                       const MergeLines* lines = nullptr);
std::string write_tokenizer_json(const TokenizerParts& parts);

// GPT-2's pair of files. Tokens that are neither a byte nor the result of a merge become special added tokens.
struct Gpt2Names {
  std::string vocab, merges;  // stand for the files in errors
};
TokenizerParts parse_gpt2_files(std::string_view vocab, std::string_view merges, const Gpt2Names& names);
struct Gpt2Files {
  std::string vocab;
  std::string merges;
};
Gpt2Files write_gpt2_files(const TokenizerParts& parts);

}  // namespace blalm
