// Which files a corpus is made of, as a user writes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace blalm {

inline constexpr std::int64_t kAllWords = std::numeric_limits<std::int64_t>::max();

struct SourceSpec {
  std::filesystem::path path;
  std::int64_t words = kAllWords;  // at most so many are taken from it
};

// "file.txt", or "file.txt:1M" for its first million words (k and M as in all settings). A name that ends like a cap
// but is a file is that file. ConfigError for a cap that is not a number of at least 1.
SourceSpec parse_source(std::string_view text);

// What a text names where a list of files was asked for: one file, or those between its commas (with spaces around
// them left out) when there is no file of the whole name and one of some part.
std::vector<std::string> files_named(const std::string& text);

// One spec an entry; a folder stands for the text files right in it, in the order of their names: .txt, .train, .dev,
// .test, .valid, .jsonl and .ndjson, also compressed, but not hidden ones. What else lies there is added to `left_out`,
// folders with a "/" at their end. DataError for a folder without text files, ConfigError for one of prepared data.
std::vector<SourceSpec> parse_sources(const std::vector<std::string>& entries,
                                      std::vector<std::filesystem::path>* left_out = nullptr);

// The paths for a message, at most `most` of them: "'a.pdf', 'b/' and 12 more".
std::string some_of(const std::vector<std::filesystem::path>& paths, std::size_t most);

}  // namespace blalm
