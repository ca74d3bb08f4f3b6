#include "apps/common/toml_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/utf8.h"

namespace blalm {
namespace {

std::size_t line_of(std::string_view text, std::size_t at) {
  return static_cast<std::size_t>(std::ranges::count(text.substr(0, at), '\n')) + 1;
}

// The place after a string that begins at `at`: one of the four kinds. The end of the line or of the text ends one that
// is not closed.
std::size_t after_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const bool lines = text.substr(at, 3) == three;
  const std::string_view end = lines ? std::string_view(three) : std::string_view(three).substr(0, 1);
  for (std::size_t i = at + end.size(); i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\')
      ++i;
    else if (text.substr(i, end.size()) == end)
      return i + end.size();
    else if (text[i] == '\n' && !lines)
      return i;
  }
  return text.size();
}

}  // namespace

void check_toml(std::string_view text, const std::string& file) {
  const auto refuse = [&](std::size_t at, std::string_view expected, std::string_view got) {
    throw ConfigError(expected_got(fmt::format("{}:{}", file, line_of(text, at)), expected, got));
  };
  if (text.size() > kMaxTomlBytes)
    throw ConfigError(
        expected_got(file, fmt::format("settings in at most {} bytes", kMaxTomlBytes), fmt::format("{}", text.size())));
  if (const std::size_t valid = utf8::valid_prefix(text); valid < text.size())
    refuse(valid, "text in UTF-8", fmt::format("the byte {}", utf8::printable(text.substr(valid, 1))));
  int brackets = 0, parts = 0;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '"' || c == '\'') {
      i = after_string(text, i);
      continue;
    }
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
      continue;
    }
    if (c == '[' || c == '{') ++brackets;
    if (c == ']' || c == '}') brackets = std::max(brackets - 1, 0);
    if (c == '.') ++parts;
    if (std::string_view("=,\n[]{}").find(c) != std::string_view::npos) parts = 0;
    if (brackets > kMaxTomlDepth) refuse(i, fmt::format("values at most {} levels deep", kMaxTomlDepth), "more");
    if (parts >= kMaxTomlDepth) refuse(i, fmt::format("a key of at most {} parts", kMaxTomlDepth), "more");
    ++i;
  }
}

std::string toml_line(std::string_view text, std::size_t line) {
  constexpr std::size_t kMostQuoted = 60;
  for (; line > 1 && !text.empty(); --line) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  text = text.substr(0, text.find('\n'));
  while (!text.empty() && (text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  return text.empty() ? "the end of the text" : fmt::format("'{}'", utf8::beginning(text, kMostQuoted));
}

std::string to_toml_string(std::string_view bytes) {
  const std::string text = utf8::with_stand_ins(bytes);
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const utf8::CodePoint point = utf8::decode(text, at);
    if (point.value == '\n')
      out += "\\n";
    else if (point.value == '"' || point.value == '\\')
      (out += '\\') += text[at];
    else if (utf8::is_control(point.value))
      out += fmt::format("\\u{:04X}", static_cast<std::uint32_t>(point.value));
    else
      out += text.substr(at, point.size);
    at += point.size;
  }
  return out + '"';
}

std::string from_toml_string(std::string_view parsed) { return utf8::without_stand_ins(parsed); }

}  // namespace blalm
