// Regular expressions of tokenizer files: what Oniguruma finds, as Hugging Face's library runs them.
// Patterns of plain constructs, GPT-2's among them, are run by PCRE2, compiled to machine code where the processor
// allows it: that is about four times faster and finds the same. All others are run by Oniguruma itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/text/character_class.h"

struct pcre2_real_code_8;
struct pcre2_real_jit_stack_8;
struct pcre2_real_match_context_8;
struct pcre2_real_match_data_8;
struct re_pattern_buffer;  // Oniguruma's regex_t
struct re_registers;       // its OnigRegion
struct OnigMatchParamStruct;

namespace blalm {

// What a match needs besides the pattern. One a thread; serves any number of patterns.
class RegexWorkspace {
 public:
  RegexWorkspace();
  ~RegexWorkspace();
  RegexWorkspace(const RegexWorkspace&) = delete;
  RegexWorkspace& operator=(const RegexWorkspace&) = delete;

 private:
  friend class Regex;
  pcre2_real_match_data_8* match_;
  pcre2_real_match_context_8* context_;
  pcre2_real_jit_stack_8* stack_;
  re_registers* region_;
  OnigMatchParamStruct* param_;
  std::size_t match_limit_ = 0;
};

class Regex {
 public:
  struct Match {
    std::size_t begin;
    std::size_t end;
  };

  // `where` names the pattern in errors. FormatError for a pattern that does not compile or is too long.
  Regex(const std::string& pattern, std::string where);

  // The first match at or after `from`. `subject` is valid UTF-8 and `from` at a character.
  // FormatError for a pattern that backtracks without end on this subject, or needs too much memory.
  std::optional<Match> find(std::string_view subject, std::size_t from, RegexWorkspace& workspace) const;

  // Whether PCRE2 runs it.
  bool is_translated() const { return plain_ != nullptr; }

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
    void operator()(re_pattern_buffer* pattern) const;
  };
  void compile_plain(const std::string& pattern);
  void compile_oniguruma(const std::string& pattern);
  std::optional<Match> find_plain(std::string_view subject, std::size_t from, RegexWorkspace& workspace) const;
  std::optional<Match> find_oniguruma(std::string_view subject, std::size_t from, RegexWorkspace& workspace) const;
  [[noreturn]] void fail(const std::string& reason) const;

  std::unique_ptr<pcre2_real_code_8, Free> plain_;  // null: Oniguruma runs it
  bool compiled_ = false;                           // plain_, to machine code
  std::unique_ptr<re_pattern_buffer, Free> oniguruma_;
  std::string where_;
};

// Calls each(begin, end, matched) for the matches in `subject` and the stretches between them, in order; together they
// are the subject. A match may be empty, but not right after another match.
template <class Each>
void for_each_match(const Regex& regex, std::string_view subject, RegexWorkspace& workspace, Each&& each) {
  std::size_t done = 0;  // all before is handed out
  std::size_t from = 0;
  bool after_match = false;
  while (from <= subject.size()) {
    const auto match = regex.find(subject, from, workspace);
    if (!match) break;
    if (match->begin == match->end && match->end == done && after_match) {
      from += done < subject.size() ? utf8::decode(subject, from).size : 1;
      after_match = false;
      continue;
    }
    if (done < match->begin) each(done, match->begin, false);
    each(match->begin, match->end, true);
    done = from = match->end;
    after_match = true;
  }
  if (done < subject.size()) each(done, subject.size(), false);
}

}  // namespace blalm
