#include "data/tokenizer/bpe_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "data/tokenizer/byte_level.h"
#include "data/tokenizer/merge_learner.h"
#include "data/tokenizer/tokenizer_parts.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"

namespace blalm {
namespace {

constexpr std::size_t kTextsAtOnce = 1024;  // what a thread takes from the list
// A word without end (a file of one letter) is cut, so that its parts are counted as the same word where they are.
constexpr std::size_t kMaxWord = std::size_t{1} << 16;

std::string spelling_of(std::uint8_t byte) {
  const char text = static_cast<char>(byte);
  return byte_level::spell({&text, 1});
}

// Special tokens first, then the bytes in the order of their characters.
Vocabulary first_vocabulary(const BpeTrainOptions& options) {
  Vocabulary vocabulary;
  for (const std::string& content : options.special_tokens) {
    const auto bytes = byte_level::unspell(content);
    if (content.empty() || vocabulary.find(content) || (bytes && bytes->size() == 1)) {
      throw ConfigError(expected_got("tokenizer.special_tokens", "different tokens of two characters or more",
                                     fmt::format("'{}'", content)));
    }
    vocabulary.add({content, content, true, true});
  }
  std::vector<std::uint8_t> bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<std::uint8_t>(byte));
  std::sort(bytes.begin(), bytes.end(),
            [](std::uint8_t a, std::uint8_t b) { return byte_level::to_char(a) < byte_level::to_char(b); });
  for (const std::uint8_t byte : bytes) vocabulary.add({spelling_of(byte), std::string(1, static_cast<char>(byte))});
  return vocabulary;
}

TokenizerParts empty_tokenizer(const BpeTrainOptions& options) {
  TokenizerParts parts;
  parts.frame = default_frame(options.pattern);
  compile(parts, {}, "tokenizer");
  return parts;
}

}  // namespace

BpeTrainer::BpeTrainer(BpeTrainOptions options)
    : options_(std::move(options)), words_of_(std::make_unique<const TokenizerParts>(empty_tokenizer(options_))) {
  const std::int32_t least = first_vocabulary(options_).size();
  if (options_.vocab_size < least) {
    throw ConfigError(expected_got("tokenizer.vocab_size", fmt::format("{} or more", least),
                                   fmt::to_string(options_.vocab_size), "special tokens and the 256 bytes"));
  }
}

BpeTrainer::~BpeTrainer() = default;

void BpeTrainer::count(std::span<const std::string_view> texts) {
  std::atomic<std::size_t> taken = 0;
  std::mutex mutex;
  // Threads take texts until none is left. Who counts what changes nothing: counts are sums.
  const auto work = [&](std::int64_t, std::int64_t) {
    WordCounts counts;
    PreTokenizer::Workspace workspace;
    const auto count_piece = [&](const Piece& piece) {
      for (std::size_t at = 0; at < piece.bytes.size(); at += kMaxWord) counts.add(piece.bytes.substr(at, kMaxWord));
    };
    for (std::size_t begin; (begin = taken.fetch_add(kTextsAtOnce)) < texts.size();) {
      const std::size_t end = std::min(texts.size(), begin + kTextsAtOnce);
      for (std::size_t i = begin; i < end; ++i) words_of_->pretokenizer.for_each(texts[i], workspace, count_piece);
    }
    const std::lock_guard lock(mutex);
    counts_.add(counts);
  };
  parallel_for(num_threads(), kParallelFloor, work);
}

Tokenizer BpeTrainer::train() const {
  TokenizerParts parts;
  parts.frame = default_frame(options_.pattern);
  parts.vocabulary = first_vocabulary(options_);
  for (const std::string& content : options_.special_tokens) {
    parts.added.push_back({.id = parts.vocabulary.find(content).value(), .content = content, .special = true});
  }
  std::vector<Merge> merges =
      MergeLearner(counts_, parts.vocabulary).learn(options_.vocab_size, options_.min_frequency);
  compile(parts, std::move(merges), "tokenizer");
  return Tokenizer(std::move(parts));
}

Tokenizer train_bpe(std::span<const std::string_view> texts, const BpeTrainOptions& options) {
  BpeTrainer trainer(options);
  trainer.count(texts);
  return trainer.train();
}

}  // namespace blalm
