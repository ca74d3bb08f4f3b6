// Patterns of tokenizer files find what Oniguruma finds, whichever engine runs them.
#include "data/tokenizer/regex.h"

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "data/tokenizer/pretokenizer.h"
#include "data/tokenizer/regex_translation.h"
#include "engine/core/error.h"
#include "tests/data/regex_support.h"
#include "tests/data/tokenizer_support.h"

namespace blalm {
namespace {

using testing::Oniguruma;
using Matches = std::vector<std::string>;

Matches matches_of(const Regex& regex, std::string_view text) {
  RegexWorkspace workspace;
  Matches matches;
  std::size_t at = 0;
  for_each_match(regex, text, workspace, [&](std::size_t begin, std::size_t end, bool matched) {
    CHECK(begin == at);  // matches and what lies between them are the text
    at = end;
    if (matched) matches.emplace_back(text.substr(begin, end - begin));
  });
  CHECK(at == text.size());
  return matches;
}

// What a construct of Oniguruma's finds in a text, and whether PCRE2 may run it.
struct Construct {
  std::string pattern;
  std::string text;
  Matches matches;
};

TEST_CASE("constructs that PCRE2 takes for something else find what Oniguruma finds") {
  const std::vector<Construct> constructs = {
      // Intersections and classes in classes.
      {R"([a-z&&[^aeiou]]+)", "hello you", {"h", "ll", "y"}},
      {R"( ?[\p{L}&&[^\p{Han}]]+|\p{Han}+)", "go Hi漢字", {"go", " Hi", "漢字"}},
      {R"([a[0-9]]+)", "a1[b]", {"a1"}},
      {R"([^a[bc]]+)", "abcd]", {"d]"}},
      // Hexadecimal digits, not horizontal space.
      {R"(\h+)", "1aF g \t", {"1aF"}},
      {R"(\H+)", "1aFg \t", {"g \t"}},
      // {n,m}+ repeats a repetition, {n}? makes one optional, {,m} begins at 0.
      {R"(a{1,2}+)", "aaaaa", {"aaaaa"}},
      {R"(a{2}?b)", "aaabb", {"aab", "b"}},
      {R"(xa{,2}b)", "xb xaab xaaab", {"xb", "xaab"}},
      {R"(a{2,1}b)", "aaab", {"aab"}},
      // (?m): the dot takes a line feed. Lines are what ^ and $ see without it.
      {R"((?m).+)", "a\nb", {"a\nb"}},
      {R"((?m:a.)b)", "a\nb", {"a\nb"}},
      {R"(^.)", "a\nb\n", {"a", "b"}},
      {R"(a$)", "a\na", {"a", "a"}},
      // Combining marks are of a word, in every script.
      {R"(\w+)", "हिन्दी भाषा", {"हिन्दी", "भाषा"}},
      {R"(\w+)", "เมื่อวาน e\u0301te", {"เมื่อวาน", "e\u0301te"}},
      {R"(\W+)", "नी, தமிழ்", {", "}},
      {R"(\b\w)", "हिन्दी भाषा", {"ह", "भ"}},
      {R"(.\B)", "नीक", {"न", "ी"}},
      // Scripts, not their extensions.
      {R"(\p{Han}+)", "漢、字〆", {"漢", "字"}},
      {R"(\p{Hiragana}+)", "らーめん", {"ら", "めん"}},
      {R"(\p{Katakana}+)", "ラーメン", {"ラ", "メン"}},
      {R"(\p{Devanagari}+)", "क।ख", {"क", "ख"}},
      {R"(\p{Arabic}+)", "ا،ب", {"ا", "ب"}},
      {R"(\p{Greek}+|\p{Cyrillic}+)", "αβ где", {"αβ", "где"}},
      {R"(\p{^Han}+)", "a漢b", {"a", "b"}},
      {R"(\p{han}+)", "a漢b", {"漢"}},
      // Classes of POSIX, of Unicode's whole range.
      {R"([[:alpha:]]+)", "कि ab1", {"कि", "ab"}},
      {R"([[:word:]]+)", "कि ab1_", {"कि", "ab1_"}},
      {R"([[:^space:]]+)", "a\u180Eb\u3000c", {"a\u180Eb", "c"}},
      {R"([[:punct:]]+)", "a!b$c+d«", {"!", "«"}},
      {R"([[:xdigit:]]+)", "fg1", {"f", "1"}},
      // White space is Unicode's: without U+180E.
      {R"(\s+)", "a\u180E b\u2003\u3000c\u0085", {" ", "\u2003\u3000", "\u0085"}},
      {R"([^\S]+)", "a\u180E b", {" "}},
      // Folding makes several letters of one.
      {R"((?i:ss))", "ssßSẞ", {"ss", "ß", "ẞ"}},
      {R"((?i)fi)", "ﬁ FI", {"ﬁ", "FI"}},
      {R"((?i:'s|'t))", "'S 'ſ 't", {"'S", "'ſ", "'t"}},
      // Others of its syntax.
      {R"((?<=a|bc)d)", "ad bcd d", {"d", "d"}},
      {R"((?<p>\((?:[^()]|\g<p>)*\)))", "f(a(b)c)(", {"(a(b)c)"}},
      {R"((\w)\1)", "hello", {"ll"}},
      {R"(a\Kb)", "ab", {"b"}},
      {R"(\R)", "a\r\nb\n", {"\r\n", "\n"}},
      {R"(\X)", "e\u0301n", {"e\u0301", "n"}},
      {R"(\G\w)", "ab c", {"a", "b"}},
      {R"((?>a+)b)", "aab", {"aab"}},
      {R"(/\*(?~\*/)\*/)", "/* a */ b */", {"/* a */"}},
      {R"(\O\N)", "\na", {"\na"}},
      {R"(\Aa|b\z)", "ab ab", {"a", "b"}},
      {R"(\x{3042}\u3044)", "あい", {"あい"}},
  };
  for (const Construct& construct : constructs) {
    CAPTURE(construct.pattern);
    CAPTURE(construct.text);
    CHECK(Oniguruma(construct.pattern).matches(construct.text) == construct.matches);
    CHECK(matches_of(Regex(construct.pattern, "p"), construct.text) == construct.matches);
  }
}

TEST_CASE("empty matches come where Hugging Face's library has them") {
  const std::vector<Construct> constructs = {
      {R"(b|(?=,))", "ba,", {"b", ""}},
      {R"(\d*)", "a1bbb2", {"", "1", "", "", "2"}},
      {R"(\b)", "ab c", {"", "", "", ""}},
      {"", "é", {"", ""}},
  };
  for (const Construct& construct : constructs) {
    CAPTURE(construct.pattern);
    CHECK(Oniguruma(construct.pattern).matches(construct.text) == construct.matches);
    CHECK(matches_of(Regex(construct.pattern, "p"), construct.text) == construct.matches);
  }
}

const std::string kScripts =
    "Don't WON'T we'll, naïve ﬁne straße 12½ Ⅻ३४ — “quotes”…\r\n\r\n  हिन्दी भाषा क।ख\t漢字、かな ラーメン\u180E한국어 "
    "\u00A0\u2003\u3000русский ελληνικά עברית العربية، ไทย 😀👍🏽 e\u0301\u0301 \x01\x7F 'S 'ſ "
    "K\u212A\n\n\u2028x "
    " ";

// Of model families: what runs on PCRE2 is what was fast before.
TEST_CASE("real patterns run on PCRE2 and find what Oniguruma finds") {
  const std::vector<std::string> patterns = {
      std::string(kGpt2Pattern),
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
      R"([一-龥぀-ゟ゠-ヿ]+)",
      R"(\p{N}{1,3})",
      R"([0-9][0-9][0-9])",
      R"([\p{P}$+<=>^`|~])",
      R"( ?[^(\s|[.,!?…。，、।۔،])]+)",
  };
  for (const std::string& pattern : patterns) {
    CAPTURE(pattern);
    const Regex regex(pattern, "p");
    CHECK(regex.is_translated() == (pattern.find("|[") == pattern.npos || pattern.find("(\\s|[") == pattern.npos));
    CHECK(matches_of(regex, kScripts) == Oniguruma(pattern).matches(kScripts));
  }
}

void check_same_characters(const std::string& set, const std::string& characters) {
  CAPTURE(set);
  const std::string pattern = "(?:" + set + ")+";
  const Regex regex(pattern, "p");
  CHECK(regex.is_translated());
  const bool same = matches_of(regex, characters) == Oniguruma(pattern).matches(characters);
  CHECK(same);  // without the texts, which are long
}

TEST_CASE("sets that are translated hold the same of all code points in both engines") {
  const std::string all = testing::all_code_points();
  std::vector<std::string> sets = {R"(\s)",
                                   R"(\S)",
                                   R"(\d)",
                                   R"(\D)",
                                   R"(\P{L})",
                                   ".",
                                   R"([^a])",
                                   R"([^\s])",
                                   R"([\d])",
                                   R"([^\s\p{L}\p{N}])",
                                   R"([\p{Lu}\P{M}])",
                                   R"([一-龥぀-ゟ゠-ヿ])"};
  for (const char* name :
       {"L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P",  "Pc", "Pd",
        "Ps", "Pe", "Pi", "Pf", "Po", "S",  "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "Cc", "Cf"}) {
    sets.push_back("\\p{" + std::string(name) + "}");
  }
  for (char c = 'a'; c <= 'z'; ++c) sets.push_back(std::string("(?i:") + c + ")");
  for (const std::string& set : sets) check_same_characters(set, all);
}

TEST_CASE("characters that are translated, escaped or not, are the same to both engines") {
  const std::string first = testing::all_code_points(0x400);
  int translated = 0;
  const auto check = [&](const std::string& set) {
    if (!translate_to_pcre2(set)) return;
    check_same_characters(set, first);
    ++translated;
  };
  for (int code = 0; code < 0x100; ++code) {
    std::string c;
    utf8::append(static_cast<char32_t>(code), c);
    for (const std::string& one : {c, "\\" + c}) {
      check(one);
      check("[" + one + "]");
      check("[x" + one + "]");
      check("[^x" + one + "]");
      check("[!-" + one + "]");
      check("[" + one + "-\u0234]");
    }
  }
  CHECK(translated > 1500);
}

TEST_CASE("no letters that folding joins are translated") {
  const std::string all = testing::all_code_points();
  const std::string alphabet = "'abcdefghijklmnopqrstuvwxyz";
  int joined = 0;
  for (const char first : alphabet) {
    std::string pattern = "(?i:";  // one pattern a first letter: walking all code points takes its time
    for (const char second : alphabet) {
      const std::string pair = {first, second};
      if (translate_to_pcre2("(?i:" + pair + ")"))
        pattern += (pattern.size() > 4 ? "|" : "") + pair;
      else
        ++joined;
    }
    for (const std::string& match : Oniguruma(pattern + ")").matches(all)) CHECK(match.size() == 2);
  }
  CHECK(joined == 5);
}

// Patterns at random, of what may be translated and what may not.
std::string random_pattern(std::mt19937& random, int depth) {
  static const std::vector<std::string> kItems = {"a",
                                                  "b",
                                                  "é",
                                                  " ",
                                                  "\\n",
                                                  "\\.",
                                                  "'",
                                                  "\\s",
                                                  "\\S",
                                                  "\\p{L}",
                                                  "\\P{Lu}",
                                                  "\\d",
                                                  ".",
                                                  "[ab]",
                                                  "[^a\\s]",
                                                  "[a-c\\-]",
                                                  "[\\p{L}\\p{M}]",
                                                  "[-a]",
                                                  "[a-]",
                                                  "(?i:'s|b)",
                                                  "(?i:k)",
                                                  "\\w",
                                                  "\\h",
                                                  "^",
                                                  "[a&&b]",
                                                  "[]a]",
                                                  "{",
                                                  "]",
                                                  "漢",
                                                  "\\p{Han}"};
  static const std::vector<std::string> kQuantifiers = {
      "",    "",     "",      "",       "*",  "+",  "?",      "*?",   "+?",   "??",    "++",
      "{2}", "{1,}", "{1,2}", "{0,2}?", "*+", "?+", "{1,2}+", "{2}?", "{,2}", "{2,1}", "+*"};
  const auto any = [&](const auto& of) -> const std::string& { return of[random() % of.size()]; };
  std::string pattern;
  for (int items = 1 + static_cast<int>(random() % 4); items > 0; --items) {
    if (depth > 0 && random() % 3 == 0) {
      static const std::vector<std::string> kGroups = {"(?:", "(", "(?=", "(?!", "(?>", "(?:"};
      pattern += any(kGroups) + random_pattern(random, depth - 1) + ")";
    } else {
      pattern += any(kItems);
    }
    pattern += any(kQuantifiers);
    if (random() % 5 == 0) pattern += "|";
  }
  return pattern;
}

TEST_CASE("patterns at random find what Oniguruma finds, or are no patterns to both") {
  std::mt19937 random(14);
  const std::vector<std::string> pieces = {"a",  "b", "c",      "A", "é",  " ", "\n", ".",
                                           "'s", "k", "\u212A", "1", "漢", "-", "]"};
  int translated = 0;
  for (int round = 0; round < 6000; ++round) {
    const std::string pattern = random_pattern(random, 2);
    std::string text;
    for (int i = 0; i < 24; ++i) text += pieces[random() % pieces.size()];
    CAPTURE(pattern);
    CAPTURE(text);
    const Oniguruma oniguruma(pattern);
    if (!oniguruma.is_pattern()) {
      CHECK_THROWS_AS(Regex(pattern, "p"), FormatError);
      CHECK_FALSE(translate_to_pcre2(pattern));
      continue;
    }
    const Regex regex(pattern, "p");
    translated += regex.is_translated();
    CHECK(matches_of(regex, text) == oniguruma.matches(text));
  }
  CHECK(translated > 500);
}

TEST_CASE("what Oniguruma refuses is told by the pattern, its reason in one line") {
  const auto error = [](const std::string& pattern) { return testing::format_error_of([&] { Regex(pattern, "f.json: x"); }); };
  CHECK(error("(a") == "[f.json: x] expected a regular expression, got '(a' (end pattern with unmatched parenthesis)");
  CHECK(error("[b-a]").starts_with("[f.json: x] expected a regular expression, got '[b-a]' (empty range"));
  CHECK(error("\\p{No\x1bsuch}").find('\x1b') == std::string::npos);
  CHECK(error("\\p{No\nsuch}").find('\n') == std::string::npos);
  CHECK(error("(?<=a+)b+*(").starts_with("[f.json: x] expected a regular expression"));
  CHECK(error(std::string(100'000, 'a')) ==
        "[f.json: x] expected a regular expression of at most 65536 bytes, got 100000 bytes");
  const auto nested = [](std::size_t depth) { return std::string(depth, '(') + "\\h" + std::string(depth, ')'); };
  CHECK(error(nested(10'000)).starts_with("[f.json: x] expected a regular expression, got '((("));
  CHECK(matches_of(Regex(nested(100), "p"), "xa") == Matches{"a"});
  CHECK(matches_of(Regex("\\h" + std::string(30'000, '|') + "x", "p"), "").size() <= 1);
}

TEST_CASE("a pattern that backtracks or remembers without end is an error by its name, in either engine") {
  RegexWorkspace workspace;
  const std::string line(200, 'a');
  for (const std::string pattern : {"(?:a+a?)+b", "(?:\\w+a?)+b", "(?:[a&&a]+a?)+b"}) {
    CAPTURE(pattern);
    const Regex regex(pattern, "f.json: x");
    const std::string error = testing::format_error_of([&] { regex.find(line + "c b", 0, workspace); });
    CHECK(error.starts_with("[f.json: x] expected a pattern that matches without endless backtracking, got "));
    CHECK(regex.find("aab", 0, workspace)->end == 3);  // the workspace serves on
  }
  const Regex greedy("(?m).+", "f.json: x");  // a place to go back to for every character
  const std::string error = testing::format_error_of([&] { greedy.find(std::string(20'000'000, 'a'), 0, workspace); });
  CHECK(error.starts_with("[f.json: x] expected a pattern that matches without endless backtracking, got "));
  CHECK(greedy.find(std::string(1'000'000, 'a'), 0, workspace)->end == 1'000'000);
}

TEST_CASE("threads share a pattern that Oniguruma runs") {
  const Regex regex(R"([\w&&[^_]]+)", "p");
  const Matches expected = matches_of(regex, kScripts);
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int& count : wrong) {
    threads.emplace_back([&] {
      RegexWorkspace workspace;
      for (int round = 0; round < 200; ++round) {
        const Regex own(R"(\h+)", "p");
        count += !own.find("xyz1", 0, workspace);
        Matches found;
        for_each_match(regex, kScripts, workspace, [&](std::size_t begin, std::size_t end, bool matched) {
          if (matched) found.push_back(kScripts.substr(begin, end - begin));
        });
        count += found != expected;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
}

}  // namespace
}  // namespace blalm
