#include "data/tokenizer/encoder.h"

#include <algorithm>

#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/tokenizer_parts.h"

namespace blalm {
namespace {

constexpr std::size_t kLongText = std::size_t{1} << 22;

}  // namespace

Encoder::Encoder(const Tokenizer& tokenizer) : parts_(&tokenizer.parts()) {}

void Encoder::append(std::string_view text, const EncodeOptions& options, std::vector<std::int32_t>& ids) {
  run({text, &ids, nullptr}, options);
}

void Encoder::append(std::string_view text, const EncodeOptions& options, Encoding& encoding) {
  run({text, &encoding.ids, &encoding.ranges}, options);
}

void Encoder::run(Job job, const EncodeOptions& options) {
  const auto put_around = [&](const std::vector<std::int32_t>& ids) {
    if (!options.add_special_tokens) return;
    job.ids->insert(job.ids->end(), ids.begin(), ids.end());
    if (job.ranges != nullptr) job.ranges->resize(job.ranges->size() + ids.size());
  };
  const auto add_found = [&](std::int32_t id, std::size_t begin, std::size_t end) { add_token(id, {begin, end}, job); };
  const bool special = options.find_special_tokens;

  put_around(parts_->post_processor.before);
  const auto encode_normalized = [&](std::string_view text) {
    parts_->in_normalized.split(
        text, special,
        [&](std::size_t begin, std::size_t end) { encode_words(text.substr(begin, end - begin), begin, job); },
        add_found);
  };
  const auto encode_text = [&](std::size_t begin, std::size_t end) {
    const std::string_view text = job.input.substr(begin, end - begin);
    job.offset = begin;
    if (parts_->normalizer.empty()) {
      encode_normalized(text);
    } else {
      parts_->normalizer.normalize(text, job.ranges != nullptr, normalizer_);
      job.normalized = &normalizer_.result;
      encode_normalized(normalizer_.result.text);
    }
    job.offset = 0;
    job.normalized = nullptr;
  };
  parts_->in_text.split(job.input, special, encode_text, add_found);
  put_around(parts_->post_processor.after);
  if (job.input.size() > kLongText) {  // an encoder is kept for long, and one long text should not be felt for ever
    normalizer_.result = {};
    normalizer_.scratch = {};
    pretokenizer_.buffers.clear();
    model_ = {};
  }
}

// `text` lies at `begin` of the text at hand.
void Encoder::encode_words(std::string_view text, std::size_t begin, Job& job) {
  parts_->pretokenizer.for_each(text, pretokenizer_, [&](const Piece& piece) {
    // A word without end (a file of one letter) is cut: merging takes memory of many times its size.
    for (std::size_t at = 0; at < piece.bytes.size(); at += BpeModel::kMaxWord) {
      encode_word(piece.slice(at, std::min(piece.bytes.size(), at + BpeModel::kMaxWord)), begin, job);
    }
  });
}

void Encoder::encode_word(const Piece& word, std::size_t begin, Job& job) {
  const bool cached = job.ranges == nullptr && word.bytes.size() <= WordCache::kMaxWord;
  const std::uint64_t hash = cached ? WordCache::hash(word.bytes) : 0;
  if (cached) {
    if (const auto ids = cache_.find(word.bytes, hash)) {
      for (const std::int32_t id : *ids) job.ids->push_back(id);
      return;
    }
  }
  parts_->model.tokenize(word.bytes, parts_->vocabulary, model_);
  word_ids_.clear();
  std::size_t at = begin + word.begin;
  std::size_t added = word.prefixed ? 1 : 0;  // bytes of the word that the text at hand does not have
  for (const WordToken& token : model_.tokens) {
    const std::size_t end = at + token.size - added;
    added = 0;
    if (token.id != BpeModel::kNoToken) {
      word_ids_.push_back(token.id);
      if (!cached) add_token(token.id, {at, end}, job);
    }
    at = end;
  }
  if (!cached) return;
  job.ids->insert(job.ids->end(), word_ids_.begin(), word_ids_.end());
  cache_.insert(word.bytes, hash, word_ids_);
}

// `place` is in the text at hand.
void Encoder::add_token(std::int32_t id, ByteRange place, Job& job) const {
  job.ids->push_back(id);
  if (job.ranges == nullptr) return;
  if (job.normalized != nullptr) {
    const auto& sources = job.normalized->sources;
    if (place.begin < place.end) {
      place = {sources[place.begin].begin, sources[place.end - 1].end};
    } else {
      const std::size_t at = place.begin < sources.size() ? sources[place.begin].begin : 0;
      place = {at, at};
    }
  }
  place = {place.begin + job.offset, place.end + job.offset};
  if (parts_->post_processor.trim_offsets) {
    while (place.begin < place.end && job.input[place.begin] == ' ') ++place.begin;
    while (place.begin < place.end && job.input[place.end - 1] == ' ') --place.end;
  }
  job.ranges->push_back(place);
}

}  // namespace blalm
