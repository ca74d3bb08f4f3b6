// What the tests of data share: files, random text, a tokenizer of bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/shards/prepare.h"
#include "data/text/corpus.h"
#include "data/text/text_source.h"
#include "engine/core/rng.h"
#include "tests/engine/io/support.h"
#include "tests/support/paths.h"

namespace blalm::test {

inline std::filesystem::path golden_text(std::string_view name) {
  return std::filesystem::path(testing::golden_folder()) / "text" / name;
}
inline std::filesystem::path samples() {
  return std::filesystem::path(testing::build_folder()) / "share/blalm/samples";
}

// For files that a test changes many times: cutting a file short and filling it again waits for the disk on some
// filesystems, a new file does not.
inline void write_anew(const std::filesystem::path& path, std::string_view content) {
  std::filesystem::remove(path);
  write_plainly(path, content);
}

// The content of lines.txt (tests/golden/text/README.md).
inline std::string golden_lines() {
  std::string text;
  for (int i = 0; i < 12000; ++i)
    text += "line " + std::to_string(i % 97) + " of a text with words: naïve café, “quotes” \n";
  return text;
}

struct ReadLines {
  std::vector<std::string> lines;
  TextStats stats;
};

inline ReadLines read_lines(const std::filesystem::path& path, const TextOptions& options = {}) {
  ReadLines result;
  TextSource source(path, options);
  TextLine line;
  while (source.next(line)) result.lines.emplace_back(line.text);
  result.stats = source.stats();
  return result;
}

// Lines of words from a small vocabulary with some odd ones, blank lines and runs of spaces among them.
inline std::string random_text(Rng& rng, int lines) {
  static constexpr std::string_view kWords[] = {"the",   "cat",          "sat",     "“on”", "mat",
                                                "naïve", "\xE3\x80\x80", "\xFFodd", "x"};
  std::string text;
  for (int i = 0; i < lines; ++i) {
    const auto words = rng.below(12);
    for (std::uint64_t w = 0; w < words; ++w) {
      text += kWords[rng.below(std::size(kWords))];
      text.append(1 + rng.below(20) / 18, ' ');
    }
    text += '\n';
  }
  return text;
}

inline std::vector<SourcePlan> whole_file(const std::filesystem::path& path) {
  return plan_corpus({{path, kAllWords}}, {}, {});
}

// Every byte is a token, after three special ones: ids tell the text.
constexpr std::int32_t kBos = 1, kEos = 2, kFirstByte = 3;

inline TextEncoder byte_encoder() {
  TextEncoder encoder;
  encoder.encode = [](std::string_view text) {
    std::vector<std::int32_t> ids;
    for (const char byte : text) ids.push_back(kFirstByte + static_cast<unsigned char>(byte));
    return ids;
  };
  encoder.id = {256 + kFirstByte, fingerprint_of("bytes")};
  encoder.bos = kBos;
  encoder.eos = kEos;
  return encoder;
}

inline std::string decode_bytes(const std::vector<std::int32_t>& ids) {
  std::string text;
  for (const std::int32_t id : ids) {
    if (id == kBos)
      text += "<s>";
    else if (id == kEos)
      text += "</s>";
    else
      text += static_cast<char>(id - kFirstByte);
  }
  return text;
}

}  // namespace blalm::test
