#include "apps/common/generation/prompt.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "apps/common/generation/valid_text.h"
#include "data/text/text_source.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

void check_size(std::size_t bytes, const std::string& from) {
  if (bytes > kMaxPromptBytes)
    throw DataError(expected_got("prompt", fmt::format("at most {} bytes", kMaxPromptBytes), "more from " + from));
}

}  // namespace

std::string prompt_text(std::string_view typed) {
  if (typed.starts_with(utf8::kByteOrderMark)) typed.remove_prefix(utf8::kByteOrderMark.size());
  std::string text;
  text.reserve(typed.size());
  for (std::size_t i = 0; i < typed.size(); ++i) {
    const bool of_line_end = typed[i] == '\r' && (i + 1 == typed.size() || typed[i + 1] == '\n');
    if (!of_line_end) text += typed[i];
  }
  return text;
}

std::string prompt_from_file(const std::filesystem::path& file) {
  TextSource source(file);
  std::string text;
  TextLine line;
  for (bool first = true; source.next(line); first = false) {
    if (!first) text += '\n';
    text += line.text;
    check_size(text.size(), fmt::format("'{}'", file.string()));
  }
  return text;
}

std::string prompt_from_standard_input() {
  std::string text;
  char piece[1 << 16];
  while (const std::size_t size = std::fread(piece, 1, sizeof(piece), stdin)) {
    text.append(piece, size);
    check_size(text.size(), "standard input");
  }
  if (std::ferror(stdin) != 0)
    throw DataError(expected_got("prompt", "to read standard input", std::generic_category().message(errno)));
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string shown_prompt(std::string_view typed) { return ValidText().push(prompt_text(typed)); }

}  // namespace blalm
