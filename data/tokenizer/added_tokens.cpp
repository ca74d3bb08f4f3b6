#include "data/tokenizer/added_tokens.h"

#include <algorithm>
#include <cassert>

#include "data/text/character_class.h"

namespace blalm {
namespace {

// The character that ends just before `at`; size 0 if there is none or it is not valid.
utf8::CodePoint decode_before(std::string_view text, std::size_t at) {
  for (std::size_t size = 1; size <= std::min<std::size_t>(4, at); ++size) {
    const utf8::CodePoint point = utf8::decode(text.substr(0, at), at - size);
    if (point.size == size) return point;
  }
  return {};
}

bool touches_word(std::string_view text, std::size_t begin, std::size_t end) {
  const utf8::CodePoint before = decode_before(text, begin);
  if (before.size > 0 && utf8::is_word(before.value)) return true;
  return end < text.size() && utf8::is_word(utf8::decode(text, end).value);
}

}  // namespace

void AddedTokenFinder::add(const AddedToken& token, std::string_view content) {
  assert(!content.empty());
  std::int32_t node = 0;
  for (const char c : content) {
    std::int32_t& child = children_[{node, static_cast<unsigned char>(c)}];
    if (child == 0) {
      child = static_cast<std::int32_t>(ending_.size());
      ending_.push_back(-1);
    }
    node = child;
  }
  first_[static_cast<unsigned char>(content.front())] = true;
  ending_[static_cast<std::size_t>(node)] = static_cast<std::int32_t>(tokens_.size());
  tokens_.push_back({token.id, token.single_word, token.lstrip, token.rstrip, token.special});
}

bool AddedTokenFinder::longest_at(std::string_view input, std::size_t at, bool special, Match& match) const {
  bool found = false;
  std::int32_t node = 0;
  for (std::size_t end = at; end < input.size();) {
    const std::int32_t* child = children_.find({node, static_cast<unsigned char>(input[end])});
    if (child == nullptr) break;
    node = *child;
    ++end;
    const std::int32_t token = ending_[static_cast<std::size_t>(node)];
    if (token < 0 || (!special && tokens_[static_cast<std::size_t>(token)].special)) continue;
    match = {token, at, end};
    found = true;
  }
  return found;
}

bool AddedTokenFinder::next(std::string_view input, std::size_t from, std::size_t done, bool special,
                            Match& match) const {
  if (tokens_.empty()) return false;
  for (std::size_t at = from; at < input.size(); ++at) {
    if (!first_[static_cast<unsigned char>(input[at])] || !longest_at(input, at, special, match)) continue;
    const Flags& flags = tokens_[static_cast<std::size_t>(match.token)];
    if (flags.single_word && touches_word(input, match.begin, match.end)) {
      at = match.end - 1;  // what was read is not searched again
      continue;
    }
    while (flags.lstrip && match.begin > done) {
      const utf8::CodePoint before = decode_before(input, match.begin);
      if (before.size == 0 || !utf8::is_space(before.value)) break;
      match.begin -= before.size;
    }
    match.begin = std::max(match.begin, done);
    while (flags.rstrip && match.end < input.size()) {
      const utf8::CodePoint after = utf8::decode(input, match.end);
      if (after.size == 0 || !utf8::is_space(after.value)) break;
      match.end += after.size;
    }
    return true;
  }
  return false;
}

}  // namespace blalm
