#define PCRE2_CODE_UNIT_WIDTH 8
#include "blalm/data/tokenizer/regex.h"

#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include "blalm/core/error.h"
#include "blalm/data/tokenizer/utf8.h"

namespace blalm {
namespace {

// Room for patterns that backtrack through long stretches; the stack grows only when used.
constexpr std::size_t kStackFirst = std::size_t{32} << 10;
constexpr std::size_t kStackMost = std::size_t{64} << 20;
// Steps of backtracking in one search: a sane pattern takes a few for each byte of a long stretch; a hostile one is
// given up after a second or so.
std::uint32_t match_limit(std::size_t subject) {
  constexpr std::size_t kLeast = 50'000'000;
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  const std::size_t limit = kLeast + subject / kMiB * kMiB * 4;
  return static_cast<std::uint32_t>(std::min<std::size_t>(limit, std::numeric_limits<std::uint32_t>::max()));
}

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return {text.begin(), std::find(text.begin(), text.end(), PCRE2_UCHAR{0})};
}

}  // namespace

RegexWorkspace::RegexWorkspace()
    : match_(pcre2_match_data_create(1, nullptr)),
      context_(pcre2_match_context_create(nullptr)),
      stack_(pcre2_jit_stack_create(kStackFirst, kStackMost, nullptr)) {
  if (match_ == nullptr || context_ == nullptr) throw std::bad_alloc();
  if (stack_ != nullptr) pcre2_jit_stack_assign(context_, nullptr, stack_);
}

RegexWorkspace::~RegexWorkspace() {
  if (stack_ != nullptr) pcre2_jit_stack_free(stack_);
  pcre2_match_context_free(context_);
  pcre2_match_data_free(match_);
}

void Regex::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

Regex::Regex(const std::string& pattern, std::string where) : where_(std::move(where)) {
  int error = 0;
  PCRE2_SIZE at = 0;
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  if (!context) throw std::bad_alloc();
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  constexpr std::uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), kOptions, &error, &at,
                            context.get()));
  if (!code_) {
    throw FormatError(expected_got(where_, "a regular expression", fmt::format("'{}'", utf8::beginning(pattern, 200)),
                                   fmt::format("at byte {}: {}", at, message_of(error))));
  }
  compiled_ = pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE) == 0;
}

std::optional<Regex::Match> Regex::find(std::string_view subject, std::size_t from, RegexWorkspace& workspace) const {
  if (subject.data() == nullptr) subject = "";
  const std::uint32_t limit = match_limit(subject.size());
  if (limit != workspace.match_limit_) pcre2_set_match_limit(workspace.context_, limit);
  workspace.match_limit_ = limit;
  const auto bytes = reinterpret_cast<PCRE2_SPTR>(subject.data());
  // Validity is the caller's promise: a check here would read the whole subject again for every match.
  constexpr std::uint32_t kOptions = PCRE2_NO_UTF_CHECK;
  int found = PCRE2_ERROR_JIT_STACKLIMIT;
  if (compiled_) {
    found = pcre2_jit_match(code_.get(), bytes, subject.size(), from, kOptions, workspace.match_, workspace.context_);
  }
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter gives the same matches, slower
    found = pcre2_match(code_.get(), bytes, subject.size(), from, kOptions | PCRE2_NO_JIT, workspace.match_,
                        workspace.context_);
  }
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0) {
    throw FormatError(expected_got(where_, "a pattern that matches without endless backtracking", message_of(found)));
  }
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(workspace.match_);
  // \K inside a lookaround could report an end before the begin, or before `from`: such a match is none.
  if (range[0] < from || range[1] < range[0]) return std::nullopt;
  return Match{range[0], range[1]};
}

}  // namespace blalm
