// The tokens of a tokenizer, by id and by spelling.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace blalm {

struct Token {
  std::string spelling;  // as tokenizer files write it: in the byte-level alphabet, or plain for added tokens
  std::string bytes;     // what it stands for in text
  bool special = false;  // marks structure (<s>), not text: left out when decoding
  bool in_model = true;  // false: found in text as an added token only, never made by the model
};

class Vocabulary {
 public:
  // The number of ids: the largest one, plus one.
  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }
  // False for ids outside the vocabulary and for gaps in it.
  bool contains(std::int32_t id) const;
  const Token& operator[](std::int32_t id) const { return tokens_[static_cast<std::size_t>(id)]; }
  std::optional<std::int32_t> find(std::string_view spelling) const;
  // The same, among the tokens of the model.
  std::optional<std::int32_t> find_in_model(std::string_view spelling) const;

  // Puts `token` at a free id and with a new spelling (asserted). The caller bounds `id`: memory grows with it.
  void add(std::int32_t id, Token token);
  // The same, at the first id after all others; returns it.
  std::int32_t add(Token token);
  // Makes an id an added token: its text is its spelling, not bytes spelled in the alphabet.
  void make_added(std::int32_t id, bool special);

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::vector<Token> tokens_;  // an empty spelling marks a gap
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
};

}  // namespace blalm
