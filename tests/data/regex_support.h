// Oniguruma called by itself, as Hugging Face's library calls it, to tell what a pattern has to find.
#pragma once

#include <oniguruma.h>

#include <string>
#include <string_view>
#include <vector>

#include "data/text/character_class.h"
#include "data/tokenizer/regex.h"

namespace blalm::testing {

class Oniguruma {
 public:
  explicit Oniguruma(std::string_view pattern) {
    static const Regex initialized("\\h", "");  // the library wants that done once, and the program does it
    const auto* begin = reinterpret_cast<const UChar*>(pattern.data());
    OnigErrorInfo info{};
    if (onig_new(&regex_, begin, begin + pattern.size(), ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_DEFAULT,
                 &info) != ONIG_NORMAL) {
      regex_ = nullptr;
    }
  }
  ~Oniguruma() {
    if (regex_ != nullptr) onig_free(regex_);
  }
  Oniguruma(const Oniguruma&) = delete;
  Oniguruma& operator=(const Oniguruma&) = delete;

  bool is_pattern() const { return regex_ != nullptr; }

  // All matches; an empty one right after another is none.
  std::vector<std::string> matches(std::string_view text) const {
    std::vector<std::string> found;
    const auto* bytes = reinterpret_cast<const UChar*>(text.data());
    OnigRegion* region = onig_region_new();
    int last_end = -1;
    for (std::size_t from = 0; from <= text.size();) {
      const int at = onig_search(regex_, bytes, bytes + text.size(), bytes + from, bytes + text.size(), region, 0);
      if (at < 0) break;
      const int begin = region->beg[0];
      const int end = region->end[0];
      if (begin == end && end == last_end) {
        from += from < text.size() ? utf8::decode(text, from).size : 1;
        continue;
      }
      found.emplace_back(text.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
      from = static_cast<std::size_t>(end);
      last_end = end;
    }
    onig_region_free(region, 1);
    return found;
  }

 private:
  regex_t* regex_ = nullptr;
};

// Every character below `end` once, in order.
inline std::string all_code_points(char32_t end = 0x110000) {
  std::string all;
  for (char32_t value = 0; value < end; ++value) {
    if (value < 0xD800 || value > 0xDFFF) utf8::append(value, all);
  }
  return all;
}

}  // namespace blalm::testing
