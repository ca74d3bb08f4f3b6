#include "data/tokenizer/regex_translation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "data/text/character_class.h"

namespace blalm {
namespace {

constexpr int kMaxDepth = 32;            // of groups in groups: reading them recurses
constexpr std::size_t kMaxRepeat = 255;  // PCRE2 writes repeated items out

constexpr char32_t kEnd = 0x110000;  // no code point

// Oniguruma's \s as members of a class: PCRE2's own takes U+180E as well.
constexpr std::string_view kSpace = R"(\x{9}-\x{d}\x{20}\x{85}\p{Z})";

// Properties that hold the same code points in both libraries. Scripts are not among them: PCRE2 means extensions.
constexpr std::array<std::string_view, 33> kProperties = {
    "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P",  "Pc", "Pd",
    "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "Cc", "Cf"};

// Letters that folding makes one character of: (?i:ss) matches U+00DF in Oniguruma and not in PCRE2.
constexpr std::array<std::string_view, 5> kJoinedByFolding = {"ff", "fi", "fl", "ss", "st"};

bool is_digit(char32_t c) { return c >= '0' && c <= '9'; }
bool is_letter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
char to_lower(char32_t c) { return static_cast<char>(c | 0x20); }

// Reads by recursive descent. The first construct that is not plain sets plain_ and moves to the end.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::optional<std::string> run() {
    alternation(0);
    if (!plain_ || at_ < pattern_.size()) return std::nullopt;
    return std::move(out_);
  }

 private:
  // What was read: may it match nothing, and may it be repeated by {n,m}?
  struct Item {
    bool may_be_empty = false;
    bool one_character = false;
  };

  char32_t peek() const { return at_ < pattern_.size() ? utf8::decode(pattern_, at_).value : kEnd; }
  char32_t peek_second() const {
    if (at_ == pattern_.size()) return kEnd;
    const std::size_t second = at_ + utf8::decode(pattern_, at_).size;
    return second < pattern_.size() ? utf8::decode(pattern_, second).value : kEnd;
  }
  char32_t take() {
    const utf8::CodePoint point = utf8::decode(pattern_, at_);
    at_ += point.size;
    return point.value;
  }
  bool take(std::string_view expected) {
    if (!pattern_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }
  bool not_plain() {
    plain_ = false;
    at_ = pattern_.size();
    return false;
  }
  void put(char32_t c) { fmt::format_to(std::back_inserter(out_), "\\x{{{:x}}}", static_cast<std::uint32_t>(c)); }

  // These return whether what they read may match nothing: how a repetition of that ends is each engine's own.
  bool alternation(int depth);
  bool sequence(int depth);
  bool quantifier(Item item);

  Item item(int depth);
  Item group(int depth);
  void caseless_group();
  void character_class();
  std::optional<std::size_t> number();
  // A set such as \s or \p{L}; `in_class`: as members of a class. False, and nothing is read, where no set begins.
  bool set(bool in_class);
  // One character, escaped or not, of those that both engines take as themselves.
  char32_t character(bool in_class);

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::string out_;
  bool plain_ = true;
};

bool Translator::alternation(int depth) {
  bool may_be_empty = sequence(depth);
  while (take("|")) {
    out_ += '|';
    if (sequence(depth)) may_be_empty = true;
  }
  return may_be_empty;
}

bool Translator::sequence(int depth) {
  if (peek() == '|' || peek() == ')' || peek() == kEnd) return not_plain();
  bool may_be_empty = true;
  while (peek() != '|' && peek() != ')' && peek() != kEnd) {
    if (!quantifier(item(depth))) may_be_empty = false;
  }
  return may_be_empty;
}

bool Translator::quantifier(Item item) {
  const std::size_t begin = at_;
  const bool optional = peek() == '*' || peek() == '?';
  if (optional || peek() == '+') {
    take();
    if (!take("?")) take("+");
    out_ += pattern_.substr(begin, at_ - begin);
  } else if (take("{")) {
    const auto least = number();
    const bool open = take(",");
    const auto most = open ? number() : least;
    if (!item.one_character || !least || !take("}")) return not_plain();
    // {n}? is not lazy and {n,m}+ not possessive in Oniguruma; {n,m} with n > m means yet something else.
    if (most ? *most == 0 || *least > *most || *most > kMaxRepeat : *least > kMaxRepeat) return not_plain();
    if (open && least != most) take("?");
    out_ += pattern_.substr(begin, at_ - begin);
    item.may_be_empty = *least == 0;
    return peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{' ? not_plain() : item.may_be_empty;
  } else {
    return item.may_be_empty;
  }
  if (item.may_be_empty) return not_plain();
  return peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{' ? not_plain() : optional;
}

Translator::Item Translator::item(int depth) {
  if (take("(")) return group(depth);
  if (take("[")) {
    character_class();
  } else if (take(".")) {
    out_ += R"([^\x{a}])";
  } else if (!set(false)) {
    put(character(false));
  }
  return {.may_be_empty = false, .one_character = true};
}

Translator::Item Translator::group(int depth) {
  if (depth == kMaxDepth) return {not_plain()};
  bool looks_ahead = false;
  if (take("?i:")) {
    caseless_group();
    return {};
  }
  if (take("?=")) {
    out_ += "(?=";
    looks_ahead = true;
  } else if (take("?!")) {
    out_ += "(?!";
    looks_ahead = true;
  } else if (take("?:") || (peek() != '?' && peek() != '*')) {
    out_ += "(?:";  // nothing of what is translated asks for what a group matched
  } else {
    return {not_plain()};
  }
  const bool may_be_empty = alternation(depth + 1);
  if (!take(")")) return {not_plain()};
  out_ += ')';
  return {.may_be_empty = may_be_empty || looks_ahead};
}

// Letters of ASCII and apostrophes, as in (?i:'s|'t|'ll): every letter becomes the class of what folds to it.
void Translator::caseless_group() {
  out_ += "(?:";
  char previous = '|';
  while (!take(")")) {
    const char32_t c = peek() == kEnd ? kEnd : take();
    if (c == '|' || c == '\'') {
      if (c == '|' && (previous == '|' || peek() == ')')) return void(not_plain());
      out_ += static_cast<char>(c);
      previous = static_cast<char>(c);
      continue;
    }
    if (!is_letter(c)) return void(not_plain());
    const std::string pair = {previous, to_lower(c)};
    if (std::find(kJoinedByFolding.begin(), kJoinedByFolding.end(), pair) != kJoinedByFolding.end()) {
      return void(not_plain());
    }
    previous = to_lower(c);
    const std::string_view others = previous == 'k' ? R"(\x{212a})" : previous == 's' ? R"(\x{17f})" : "";
    fmt::format_to(std::back_inserter(out_), "[{}{}{}]", previous, static_cast<char>(previous & ~0x20), others);
  }
  if (previous == '|') return void(not_plain());  // empty
  out_ += ')';
}

void Translator::character_class() {
  out_ += '[';
  if (take("^")) out_ += '^';
  for (bool first = true; first || peek() != ']'; first = false) {
    if (peek() == kEnd || peek() == ']') return void(not_plain());  // no end, or a ] as first member
    const bool dash_inside = peek() == '-' && !first && peek_second() != ']';
    const bool is_set = set(true);
    const char32_t begin = is_set ? kEnd : character(true);
    if (!is_set) put(begin);
    if (dash_inside) return void(not_plain());
    if (peek() != '-' || peek_second() == ']') continue;
    take();
    if (is_set || peek() == '-' || peek() == kEnd) return void(not_plain());
    const char32_t end = character(true);
    if (begin > end || peek() == '-') return void(not_plain());
    out_ += '-';
    put(end);
  }
  take("]");
  out_ += ']';
}

std::optional<std::size_t> Translator::number() {
  std::optional<std::size_t> value;
  while (is_digit(peek())) value = std::min(value.value_or(0) * 10 + (take() - '0'), kMaxRepeat + 1);
  return value;
}

bool Translator::set(bool in_class) {
  if (peek() != '\\') return false;
  const char32_t letter = peek_second();
  if (letter == 's' || (letter == 'S' && !in_class)) {
    at_ += 2;
    out_ += in_class ? std::string(kSpace) : fmt::format("[{}{}]", letter == 'S' ? "^" : "", kSpace);
  } else if (letter == 'd' || letter == 'D') {
    at_ += 2;
    out_ += letter == 'd' ? R"(\p{Nd})" : R"(\P{Nd})";
  } else if (letter == 'p' || letter == 'P') {
    at_ += 2;
    const std::string_view rest = pattern_.substr(at_);
    const std::size_t end = rest.find('}');
    const std::string_view name = rest.starts_with('{') && end != rest.npos ? rest.substr(1, end - 1) : "";
    if (std::find(kProperties.begin(), kProperties.end(), name) == kProperties.end()) {
      not_plain();
    } else {
      fmt::format_to(std::back_inserter(out_), "\\{}{{{}}}", static_cast<char>(letter), name);
      at_ += end + 1;
    }
  } else {
    return false;
  }
  return true;
}

char32_t Translator::character(bool in_class) {
  const char32_t c = peek() == kEnd ? kEnd : take();
  if (c != '\\') {
    const bool opens = c == '[' || (c == '&' && peek() == '&');  // a class in the class, an intersection
    const bool has_meaning =
        c < 0x80 && std::string_view("*+?{}]^$").find(static_cast<char>(c)) != std::string_view::npos;
    if (c == kEnd || (in_class ? opens : has_meaning)) not_plain();
    return c;
  }
  const char32_t escaped = peek() == kEnd ? kEnd : take();
  switch (escaped) {
    case 'a': return 0x07;
    case 'e': return 0x1b;
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    default: break;
  }
  if (escaped >= 0x80 || is_letter(escaped) || is_digit(escaped)) not_plain();
  return escaped;
}

}  // namespace

std::optional<std::string> translate_to_pcre2(std::string_view pattern) {
  if (utf8::valid_prefix(pattern) < pattern.size()) return std::nullopt;
  return Translator(pattern).run();
}

}  // namespace blalm
