#include "data/tokenizer/merge_learner.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "data/tokenizer/byte_level.h"
#include "engine/core/error.h"

namespace blalm {

MergeLearner::MergeLearner(const WordCounts& words, Vocabulary& vocabulary) : words_(words), vocabulary_(vocabulary) {
  std::vector<std::int32_t> byte_ids;
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    byte_ids.push_back(vocabulary.find(byte_level::spell({&text, 1})).value());
  }
  std::size_t total = 0;
  for (std::size_t i = 0; i < words.size(); ++i) total += words.word(i).size();
  if (total >= kNone) throw DataError(expected_got("tokenizer", "different words of less than 4 GB", "more"));
  symbols_.reserve(total);
  for (std::size_t i = 0; i < words.size(); ++i) add_word(words.word(i), static_cast<std::uint32_t>(i), byte_ids);
  for (std::uint32_t pair = 0; pair < pairs_.size(); ++pair) enqueue(pair);
  grown_.clear();
}

void MergeLearner::add_word(std::string_view word, std::uint32_t index, const std::vector<std::int32_t>& byte_ids) {
  const auto first = static_cast<std::uint32_t>(symbols_.size());
  for (const char byte : word) {
    const auto at = static_cast<std::uint32_t>(symbols_.size());
    symbols_.push_back({byte_ids[static_cast<unsigned char>(byte)], at - 1, at + 1, index});
  }
  if (symbols_.size() == first) return;
  symbols_[first].previous = kNone;
  symbols_.back().next = kNone;
  for (std::uint32_t place = first; place + 1 < symbols_.size(); ++place) count_up(place);
}

std::uint32_t MergeLearner::pair_index(TokenPair tokens) {
  std::uint32_t& number = pair_numbers_[tokens];
  if (number == 0) {
    pairs_.push_back({tokens, 0, {}, false});
    number = static_cast<std::uint32_t>(pairs_.size());
  }
  return number - 1;
}

// The pair that begins at `place` has come into being.
void MergeLearner::count_up(std::uint32_t place) {
  const std::uint32_t index = pair_index({symbols_[place].id, symbols_[symbols_[place].next].id});
  Pair& pair = pairs_[index];
  pair.count += weight(place);
  pair.places.push_back(place);
  if (grown_.empty() || grown_.back() != index) grown_.push_back(index);
}

// The pair that begins at `place` is about to go.
void MergeLearner::count_down(std::uint32_t place) {
  pairs_[pair_index({symbols_[place].id, symbols_[symbols_[place].next].id})].count -= weight(place);
}

void MergeLearner::enqueue(std::uint32_t pair) {
  if (pairs_[pair].count > 0) queue_.push({pairs_[pair].count, pairs_[pair].tokens.key(), pair});
}

std::vector<Merge> MergeLearner::learn(std::int32_t vocab_size, std::int64_t min_frequency) {
  std::vector<Merge> merges;
  while (vocabulary_.size() < vocab_size && !queue_.empty()) {
    const Candidate best = queue_.top();
    queue_.pop();
    Pair& pair = pairs_[best.pair];
    if (best.count != pair.count) {
      // Counts fall when neighbours merge; the pair goes back to where it now belongs.
      enqueue(best.pair);
      continue;
    }
    if (best.count < min_frequency) break;
    const TokenPair tokens = pair.tokens;
    const Token& left = vocabulary_[tokens.left];
    const Token& right = vocabulary_[tokens.right];
    Token joined{left.spelling + right.spelling, left.bytes + right.bytes};
    std::optional<std::int32_t> result = vocabulary_.find(joined.spelling);
    if (result && vocabulary_[*result].special) continue;  // text must never turn into a special token
    // "ab" + "c" and "a" + "bc" make the same token.
    if (!result) result = vocabulary_.add(std::move(joined));
    if (!pair.merged) merges.push_back({tokens, *result});
    merge_everywhere(best.pair, *result);
  }
  return merges;
}

void MergeLearner::merge_everywhere(std::uint32_t pair, std::int32_t result) {
  const TokenPair tokens = pairs_[pair].tokens;
  std::vector<std::uint32_t> places = std::exchange(pairs_[pair].places, {});
  // From left to right: in "aaa" it is the first two that merge.
  if (!std::is_sorted(places.begin(), places.end())) std::sort(places.begin(), places.end());
  for (const std::uint32_t place : places) {
    Symbol& left = symbols_[place];
    if (left.id != tokens.left || left.next == kNone || symbols_[left.next].id != tokens.right) continue;
    Symbol& right = symbols_[left.next];
    if (left.previous != kNone) count_down(left.previous);
    if (right.next != kNone) count_down(left.next);
    left.id = result;
    left.next = right.next;
    right.id = kJoined;
    if (left.previous != kNone) count_up(left.previous);
    if (left.next != kNone) {
      symbols_[left.next].previous = place;
      count_up(place);
    }
  }
  pairs_[pair].count = 0;
  pairs_[pair].merged = true;
  std::sort(grown_.begin(), grown_.end());
  grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
  for (const std::uint32_t grown : grown_) enqueue(grown);
  grown_.clear();
}

}  // namespace blalm
