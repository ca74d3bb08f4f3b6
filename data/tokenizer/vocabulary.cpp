#include "data/tokenizer/vocabulary.h"

#include <cassert>
#include <utility>

namespace blalm {

bool Vocabulary::contains(std::int32_t id) const { return id >= 0 && id < size() && !(*this)[id].spelling.empty(); }

std::optional<std::int32_t> Vocabulary::find(std::string_view spelling) const {
  const auto found = ids_.find(spelling);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::int32_t> Vocabulary::find_in_model(std::string_view spelling) const {
  const auto id = find(spelling);
  return id && (*this)[*id].in_model ? id : std::nullopt;
}

void Vocabulary::add(std::int32_t id, Token token) {
  assert(id >= 0 && !token.spelling.empty() && !contains(id) && !find(token.spelling));
  if (id >= size()) tokens_.resize(static_cast<std::size_t>(id) + 1);
  ids_.emplace(token.spelling, id);
  tokens_[static_cast<std::size_t>(id)] = std::move(token);
}

std::int32_t Vocabulary::add(Token token) {
  const std::int32_t id = size();
  add(id, std::move(token));
  return id;
}

void Vocabulary::make_added(std::int32_t id, bool special) {
  Token& token = tokens_[static_cast<std::size_t>(id)];
  token.bytes = token.spelling;
  token.special = special;
}

}  // namespace blalm
