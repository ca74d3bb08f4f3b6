// Text that comes in pieces of any bytes, made valid UTF-8 on its way to people and files.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "data/text/character_class.h"

namespace blalm {

class ValidText {
 public:
  // The text that is certain with these bytes. The beginning of a character is held back until the rest of it comes;
  // bytes that can never be part of one are U+FFFD.
  std::string push(std::string_view bytes) {
    held_ += bytes;
    const std::size_t whole = held_.size() - utf8::incomplete_suffix(held_);
    std::string text = utf8::made_valid(std::string_view(held_).substr(0, whole));
    held_.erase(0, whole);
    return text;
  }
  // Where the text ends for good: U+FFFD for a character of which the rest did not come.
  std::string finish() { return utf8::made_valid(std::exchange(held_, {})); }

 private:
  std::string held_;
};

}  // namespace blalm
