#include "data/text/text_source.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "data/text/character_class.h"
#include "data/text/json_lines.h"
#include "data/text/words.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

// `start`: the first bytes of the file, where the NUL byte is among them.
std::string_view hint_for_binary(std::string_view start, std::int64_t offset) {
  const bool marked = start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF");
  if (marked || offset < 2) return "UTF-16 text is converted with iconv -f UTF-16 -t UTF-8";
  return "leave binary files out and unpack archives; tr -d '\\000' drops stray NUL bytes";
}

}  // namespace

void TextStats::add(const TextLine& line) {
  lines += 1;
  words += line.words;
  bytes += line.bytes;
  invalid_bytes += line.invalid_bytes;
}

void TextStats::add(const TextStats& other) {
  lines += other.lines;
  words += other.words;
  bytes += other.bytes;
  invalid_bytes += other.invalid_bytes;
}

bool is_json_lines(const std::filesystem::path& path) {
  std::filesystem::path name = path.filename();
  const std::string last = name.extension().string();
  if (last == ".xz" || last == ".gz" || last == ".zst") name = name.stem();
  return name.extension() == ".jsonl" || name.extension() == ".ndjson";
}

TextSource::TextSource(const std::filesystem::path& path, TextOptions options)
    : path_(path), options_(std::move(options)), json_lines_(is_json_lines(path)), bytes_(open_bytes(path)) {
  if (read_piece() && piece_.starts_with(utf8::kByteOrderMark)) piece_.remove_prefix(utf8::kByteOrderMark.size());
}

bool TextSource::read_piece() {
  piece_ = bytes_->next();
  if (const std::size_t nul = piece_.find('\0'); nul != std::string_view::npos) {
    const std::int64_t offset = offset_ + static_cast<std::int64_t>(nul);
    throw DataError(expected_got("read", fmt::format("text in '{}'", path_.string()),
                                 fmt::format("a NUL byte at offset {}", offset),
                                 hint_for_binary(offset_ == 0 ? piece_ : std::string_view(), offset)));
  }
  offset_ += static_cast<std::int64_t>(piece_.size());
  if (options_.pulse) options_.pulse({path_, offset_, bytes_->file_bytes()});
  return !piece_.empty();
}

// The next line as it is in the file, without its line end; `ended` tells whether it had one.
bool TextSource::next_raw(std::string_view& text, bool& ended) {
  carry_.clear();
  for (;;) {
    if (piece_.empty() && !read_piece()) {
      text = carry_;
      ended = false;
      break;
    }
    const std::size_t end = piece_.find('\n');
    const std::string_view part = piece_.substr(0, end);
    if (std::cmp_greater(carry_.size() + part.size(), options_.max_line_bytes)) {
      throw DataError(expected_got("read", fmt::format("lines of at most {} bytes", options_.max_line_bytes),
                                   fmt::format("a longer line {} in '{}'", line_number_ + 1, path_.string()),
                                   "break the text into lines"));
    }
    if (end == piece_.npos) {
      carry_ += part;
      piece_ = {};
      continue;
    }
    piece_.remove_prefix(end + 1);
    ended = true;
    if (carry_.empty()) {
      text = part;
    } else {
      carry_ += part;
      text = carry_;
    }
    break;
  }
  if (!ended && text.empty()) return false;
  ++line_number_;
  if (ended && text.ends_with('\r')) text.remove_suffix(1);
  return true;
}

bool TextSource::next(TextLine& line) {
  bool ended = false;
  do {
    if (!next_raw(line.text, ended)) return false;
  } while (json_lines_ && line.text.find_first_not_of(" \t\r") == line.text.npos);
  if (json_lines_) {
    text_ = text_field(line.text, options_.json_field, fmt::format("{}, line {}", path_.string(), line_number_));
    line.text = text_;
  }
  if (options_.strip_lines) line.text = strip(line.text);
  const TextCounts counts = count_text(line.text);
  line.words = counts.words;
  line.invalid_bytes = counts.invalid_bytes;
  line.bytes = static_cast<std::int64_t>(line.text.size()) + (ended && !json_lines_ ? 1 : 0);
  stats_.add(line);
  return true;
}

}  // namespace blalm
