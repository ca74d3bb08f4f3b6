#include "data/tokenizer/bpe_model.h"

#include <algorithm>
#include <cassert>
#include <functional>
#include <utility>

#include "data/tokenizer/byte_level.h"

namespace blalm {

BpeModel::BpeModel(const Vocabulary& vocabulary, std::vector<Merge> merges, Options options)
    : merges_(std::move(merges)), options_(options) {
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    const char text = static_cast<char>(byte);
    byte_ids_[byte] = vocabulary.find_in_model(byte_level::spell({&text, 1})).value_or(kNoToken);
  }
  std::uint32_t rank = 0;
  for (const Merge& merge : merges_) ranks_[merge.pair] = rank++;
}

void BpeModel::tokenize(std::string_view word, const Vocabulary& vocabulary, Workspace& workspace) const {
  assert(word.size() <= kMaxWord);
  workspace.tokens.clear();
  if (options_.ignore_merges) {
    byte_level::spell(word, workspace.spelling);
    if (const auto id = vocabulary.find_in_model(workspace.spelling)) {
      workspace.tokens.push_back({*id, static_cast<std::uint32_t>(word.size())});
      return;
    }
  }
  auto& symbols = workspace.symbols;
  auto& queue = workspace.queue;
  const auto size = static_cast<std::uint32_t>(word.size());
  symbols.resize(size);
  for (std::uint32_t i = 0; i < size; ++i) {
    symbols[i] = {byte_ids_[static_cast<unsigned char>(word[i])], i - 1, i + 1};  // first: previous is above all places
  }
  queue.clear();
  for (std::uint32_t i = 0; i < size; ++i) push(i, workspace);

  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const auto rank = static_cast<std::uint32_t>(queue.back() >> 32);
    const auto place = static_cast<std::uint32_t>(queue.back());
    queue.pop_back();
    auto& left = symbols[place];
    if (left.id == kJoined || left.next == size) continue;
    auto& right = symbols[left.next];
    // The pair may have changed since it was queued.
    const std::uint32_t* now = ranks_.find({left.id, right.id});
    if (now == nullptr || *now != rank) continue;
    left.id = merges_[rank].result;
    left.next = right.next;
    right.id = kJoined;
    if (left.next < size) symbols[left.next].previous = place;
    push(place, workspace);
    if (left.previous < size) push(left.previous, workspace);
  }
  emit(workspace);
}

// Queues the symbol at `place` with the one after it, if they can merge.
void BpeModel::push(std::uint32_t place, Workspace& workspace) const {
  const auto& symbol = workspace.symbols[place];
  if (symbol.next == workspace.symbols.size()) return;
  const std::uint32_t* rank = ranks_.find({symbol.id, workspace.symbols[symbol.next].id});
  if (rank == nullptr) return;
  workspace.queue.push_back(static_cast<std::uint64_t>(*rank) << 32 | place);
  std::push_heap(workspace.queue.begin(), workspace.queue.end(), std::greater<>());
}

void BpeModel::emit(Workspace& workspace) const {
  bool after_unknown = false;
  const auto size = static_cast<std::uint32_t>(workspace.symbols.size());
  for (std::uint32_t place = 0; place < size; place = workspace.symbols[place].next) {
    const auto& symbol = workspace.symbols[place];
    const bool unknown = symbol.id == kNoToken;
    if (!unknown) {
      workspace.tokens.push_back({symbol.id, symbol.next - place});
    } else if (options_.unknown && options_.fuse_unknown && after_unknown) {
      workspace.tokens.back().size += symbol.next - place;
    } else {
      // Bytes that are left out still count, or the tokens after them would lie in the wrong place.
      workspace.tokens.push_back({options_.unknown.value_or(kNoToken), symbol.next - place});
    }
    after_unknown = unknown;
  }
}

std::vector<std::uint8_t> BpeModel::missing_bytes() const {
  std::vector<std::uint8_t> missing;
  for (std::size_t byte = 0; byte < byte_ids_.size(); ++byte) {
    if (byte_ids_[byte] == kNoToken) missing.push_back(static_cast<std::uint8_t>(byte));
  }
  return missing;
}

}  // namespace blalm
