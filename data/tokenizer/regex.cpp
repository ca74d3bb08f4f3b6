#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/tokenizer/regex.h"

#include <fmt/format.h>
#include <oniguruma.h>
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <mutex>
#include <new>
#include <utility>

#include "data/text/character_class.h"
#include "data/tokenizer/limits.h"
#include "data/tokenizer/regex_translation.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

// Room for patterns that backtrack through long stretches; the stacks grow only when used.
constexpr std::size_t kStackFirst = std::size_t{32} << 10;
constexpr std::size_t kStackMost = std::size_t{64} << 20;
constexpr unsigned kStackMostEntries = 1u << 22;  // Oniguruma's, of some 40 bytes
// Steps of backtracking in one search: a sane pattern takes a few for each byte of a long stretch; a hostile one is
// given up after a second or so.
std::size_t match_limit(std::size_t subject) {
  constexpr std::size_t kLeast = 50'000'000;
  constexpr std::size_t kMiB = std::size_t{1} << 20;
  const std::size_t limit = kLeast + subject / kMiB * kMiB * 4;
  return std::min<std::size_t>(limit, std::numeric_limits<std::uint32_t>::max());
}

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return {text.begin(), std::find(text.begin(), text.end(), PCRE2_UCHAR{0})};
}

std::string oniguruma_message(int code, OnigErrorInfo* info) {
  std::array<UChar, ONIG_MAX_ERROR_MESSAGE_LEN> text{};
  const int size =
      info == nullptr ? onig_error_code_to_str(text.data(), code) : onig_error_code_to_str(text.data(), code, info);
  return utf8::printable({reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(std::max(size, 0))});
}

const UChar* bytes_of(std::string_view text) { return reinterpret_cast<const UChar*>(text.data()); }

}  // namespace

RegexWorkspace::RegexWorkspace()
    : match_(pcre2_match_data_create(1, nullptr)),
      context_(pcre2_match_context_create(nullptr)),
      stack_(pcre2_jit_stack_create(kStackFirst, kStackMost, nullptr)),
      region_(onig_region_new()),
      param_(onig_new_match_param()) {
  if (match_ == nullptr || context_ == nullptr || region_ == nullptr || param_ == nullptr) throw std::bad_alloc();
  if (stack_ != nullptr) pcre2_jit_stack_assign(context_, nullptr, stack_);
  onig_initialize_match_param(param_);
  onig_set_match_stack_limit_size_of_match_param(param_, kStackMostEntries);
}

RegexWorkspace::~RegexWorkspace() {
  onig_free_match_param(param_);
  onig_region_free(region_, 1);
  if (stack_ != nullptr) pcre2_jit_stack_free(stack_);
  pcre2_match_context_free(context_);
  pcre2_match_data_free(match_);
}

void Regex::Free::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }
void Regex::Free::operator()(re_pattern_buffer* pattern) const { onig_free(pattern); }

Regex::Regex(const std::string& pattern, std::string where) : where_(std::move(where)) {
  if (pattern.size() > kMaxPattern) {
    throw FormatError(expected_got(where_, fmt::format("a regular expression of at most {} bytes", kMaxPattern),
                                   fmt::format("{} bytes", pattern.size())));
  }
  if (const auto plain = translate_to_pcre2(pattern)) compile_plain(*plain);
  if (!plain_) compile_oniguruma(pattern);
}

void Regex::compile_plain(const std::string& pattern) {
  int error = 0;
  PCRE2_SIZE at = 0;
  plain_.reset(pcre2_compile(bytes_of(pattern), pattern.size(), PCRE2_UTF, &error, &at, nullptr));
  compiled_ = plain_ && pcre2_jit_compile(plain_.get(), PCRE2_JIT_COMPLETE) == 0;
}

void Regex::compile_oniguruma(const std::string& pattern) {
  static std::mutex mutex;  // the library promises threads nothing here
  const std::lock_guard lock(mutex);
  static const int initialized = [] {
    OnigEncoding encoding = ONIG_ENCODING_UTF8;
    onig_set_parse_depth_limit(kMaxPatternDepth);
    return onig_initialize(&encoding, 1);
  }();
  if (initialized != ONIG_NORMAL) throw std::bad_alloc();
  regex_t* compiled = nullptr;
  OnigErrorInfo info{};
  const UChar* begin = bytes_of(pattern);
  const int code = onig_new(&compiled, begin, begin + pattern.size(), ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                            ONIG_SYNTAX_ONIGURUMA, &info);
  if (code == ONIGERR_MEMORY) throw std::bad_alloc();
  if (code != ONIG_NORMAL) {
    throw FormatError(expected_got(where_, "a regular expression", fmt::format("'{}'", utf8::beginning(pattern, 200)),
                                   oniguruma_message(code, &info)));
  }
  oniguruma_.reset(compiled);
}

void Regex::fail(const std::string& reason) const {
  throw FormatError(expected_got(where_, "a pattern that matches without endless backtracking", reason));
}

std::optional<Regex::Match> Regex::find(std::string_view subject, std::size_t from, RegexWorkspace& workspace) const {
  if (subject.data() == nullptr) subject = "";
  const std::size_t limit = match_limit(subject.size());
  if (limit != workspace.match_limit_) {
    pcre2_set_match_limit(workspace.context_, static_cast<std::uint32_t>(limit));
    onig_set_retry_limit_in_search_of_match_param(workspace.param_, limit);
  }
  workspace.match_limit_ = limit;
  return plain_ ? find_plain(subject, from, workspace) : find_oniguruma(subject, from, workspace);
}

std::optional<Regex::Match> Regex::find_plain(std::string_view subject, std::size_t from,
                                              RegexWorkspace& workspace) const {
  // Validity is the caller's promise: a check here would read the whole subject again for every match.
  constexpr std::uint32_t kOptions = PCRE2_NO_UTF_CHECK;
  int found = PCRE2_ERROR_JIT_STACKLIMIT;
  if (compiled_) {
    found = pcre2_jit_match(plain_.get(), bytes_of(subject), subject.size(), from, kOptions, workspace.match_,
                            workspace.context_);
  }
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter gives the same matches, slower
    found = pcre2_match(plain_.get(), bytes_of(subject), subject.size(), from, kOptions | PCRE2_NO_JIT,
                        workspace.match_, workspace.context_);
  }
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0) fail(pcre2_message(found));
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(workspace.match_);
  return Match{range[0], range[1]};
}

std::optional<Regex::Match> Regex::find_oniguruma(std::string_view subject, std::size_t from,
                                                  RegexWorkspace& workspace) const {
  if (subject.size() > std::numeric_limits<int>::max()) fail("a text of more than 2 GiB");  // its places are ints
  const UChar* begin = bytes_of(subject);
  const UChar* end = begin + subject.size();
  const int found = onig_search_with_param(oniguruma_.get(), begin, end, begin + from, end, workspace.region_,
                                           ONIG_OPTION_NONE, workspace.param_);
  if (found == ONIG_MISMATCH) return std::nullopt;
  if (found == ONIGERR_MEMORY) throw std::bad_alloc();
  if (found < 0) fail(oniguruma_message(found, nullptr));
  const Match match{static_cast<std::size_t>(workspace.region_->beg[0]),
                    static_cast<std::size_t>(workspace.region_->end[0])};
  // \K in a look-behind could report a begin before `from`: such a match is none.
  if (match.begin < from || match.end < match.begin) return std::nullopt;
  return match;
}

}  // namespace blalm
