#include "data/tokenizer/pretokenizer.h"

#include <utility>

#include "data/text/character_class.h"
#include "data/tokenizer/byte_level.h"

namespace blalm {
namespace {

// Joins the parts of a text (matches and the stretches between) into pieces; calls each(begin, end) for those that are
// not empty. It holds one part back, which the next may still join.
template <class Each>
class PartJoiner {
 public:
  PartJoiner(SplitBehavior behavior, Each& each) : behavior_(behavior), each_(each) {}

  void add(std::size_t begin, std::size_t end, bool matched) {
    if (held_ && joins(matched)) {
      end_ = end;
    } else {
      flush();
      begin_ = begin;
      end_ = end;
      held_ = behavior_ != SplitBehavior::kRemoved || !matched;
    }
    matched_ = matched;
  }
  void flush() {
    if (held_ && begin_ < end_) each_(begin_, end_);
    held_ = false;
  }

 private:
  bool joins(bool matched) const {
    switch (behavior_) {
      case SplitBehavior::kMergedWithPrevious: return matched && !matched_;
      case SplitBehavior::kMergedWithNext: return matched_ && !matched;
      case SplitBehavior::kContiguous: return matched_ == matched;
      default: return false;
    }
  }

  SplitBehavior behavior_;
  Each& each_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool held_ = false;
  bool matched_ = false;  // the last part that came
};

}  // namespace

Piece Piece::slice(std::size_t from, std::size_t to) const {
  if (from == 0) return {bytes.substr(0, to), begin, prefixed};
  return {bytes.substr(from, to - from), begin + from - (prefixed ? 1 : 0), false};
}

void PreTokenizer::add_prefix_space() { steps_.push_back({}); }

void PreTokenizer::add_split(Regex pattern, SplitBehavior behavior, bool invert, bool spelled) {
  steps_.push_back({Split{std::move(pattern), behavior, invert, spelled}});
}

// Calls each(begin, end) for the pieces of valid UTF-8.
template <class Each>
void PreTokenizer::split_valid(const Split& split, std::string_view text, RegexWorkspace& workspace, Each&& each) {
  PartJoiner<Each> parts(split.behavior, each);
  for_each_match(split.pattern, text, workspace, [&](std::size_t begin, std::size_t end, bool matched) {
    parts.add(begin, end, matched != split.invert);
  });
  parts.flush();
}

// The same for any bytes.
template <class Each>
void PreTokenizer::split_bytes(const Split& split, std::string_view text, RegexWorkspace& workspace, Each&& each) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t valid = utf8::valid_prefix(text.substr(at));
    split_valid(split, text.substr(at, valid), workspace,
                [&](std::size_t begin, std::size_t end) { each(at + begin, at + end); });
    at += valid;
    const std::size_t invalid = utf8::invalid_prefix(text.substr(at));
    if (invalid > 0) each(at, at + invalid);
    at += invalid;
  }
}

void PreTokenizer::for_each(std::string_view text, Workspace& workspace, const Sink& sink) const {
  if (text.empty()) return;
  if (workspace.buffers.size() < steps_.size()) workspace.buffers.resize(steps_.size());
  run(0, Piece{text, 0, false}, workspace, sink);
}

void PreTokenizer::run(std::size_t step, const Piece& piece, Workspace& workspace, const Sink& sink) const {
  if (step == steps_.size()) {
    sink(piece);
    return;
  }
  const auto& split = steps_[step].split;
  std::string& buffer = workspace.buffers[step];
  if (!split) {
    if (piece.bytes.front() == ' ') return run(step + 1, piece, workspace, sink);
    buffer.assign(1, ' ').append(piece.bytes);
    return run(step + 1, Piece{buffer, piece.begin, true}, workspace, sink);
  }
  const auto pass_on = [&](std::size_t begin, std::size_t end) {
    run(step + 1, piece.slice(begin, end), workspace, sink);
  };
  if (!split->spelled) return split_bytes(*split, piece.bytes, workspace.regex, pass_on);

  byte_level::spell(piece.bytes, buffer);
  std::size_t at = 0;    // in the spelling
  std::size_t byte = 0;  // the same place in the piece: one byte a character
  const auto byte_at = [&](std::size_t place) {
    for (; at < place; at += utf8::decode(buffer, at).size) ++byte;
    return byte;
  };
  split_valid(*split, buffer, workspace.regex, [&](std::size_t begin, std::size_t end) {
    const std::size_t first = byte_at(begin);
    pass_on(first, byte_at(end));
  });
}

}  // namespace blalm
