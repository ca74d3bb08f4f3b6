// Text, line by line, from plain or compressed files (.xz, .gz, .zst) and from JSON Lines (.jsonl, compressed or not).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "data/text/byte_reader.h"

namespace blalm {

struct TextOptions {
  std::string json_field = "text";                      // of JSON Lines: the field that holds the text
  bool strip_lines = false;                             // leave out the white space at both ends of each text
  std::int64_t max_line_bytes = std::int64_t{1} << 28;  // a longer line is a DataError: memory stays bounded
  ReadPulse pulse{};                                    // null: nothing is called
};

// A line of a text file without its line end (LF or CR LF), or the text of one JSON Lines object, line ends and all.
struct TextLine {
  std::string_view text;           // valid until the next line is read
  std::int64_t words = 0;          // words.h
  std::int64_t bytes = 0;          // of the text, and one more for the line end where there was one
  std::int64_t invalid_bytes = 0;  // that are not UTF-8; they stay in the text
};

// What a file held so far.
struct TextStats {
  std::int64_t lines = 0;
  std::int64_t words = 0;
  std::int64_t bytes = 0;  // as in TextLine: after decompression, without byte-order mark, CR of line ends and what was
                           // stripped
  std::int64_t invalid_bytes = 0;

  void add(const TextLine& line);
  void add(const TextStats& other);
};

// Reads a file once, in memory bounded by its longest line. An empty file has no lines; a last line may lack its line
// end; a UTF-8 byte-order mark at the beginning is dropped; blank lines are lines (but not in JSON Lines).
// DataError, naming the file: missing, unreadable, damaged or truncated; binary (a NUL byte, with its offset).
// FormatError, naming file, line and field: not a JSON object, or without a text in the field.
class TextSource {
 public:
  explicit TextSource(const std::filesystem::path& path, TextOptions options = {});

  bool next(TextLine& line);  // false at the end
  const TextStats& stats() const { return stats_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  bool next_raw(std::string_view& text, bool& ended);
  bool read_piece();

  std::filesystem::path path_;
  TextOptions options_;
  bool json_lines_;
  std::unique_ptr<ByteReader> bytes_;
  std::string_view piece_;        // what is left of the current piece
  std::int64_t offset_ = 0;       // of the end of the current piece in the file
  std::int64_t line_number_ = 0;  // of the file, from 1
  std::string carry_;             // a line that began in an earlier piece
  std::string text_;              // of a JSON Lines object
  TextStats stats_;
};

// Whether the name is that of a JSON Lines file: .jsonl or .ndjson, perhaps with .xz, .gz or .zst after it.
bool is_json_lines(const std::filesystem::path& path);

}  // namespace blalm
