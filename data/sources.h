// Which files a corpus is made of, as a user writes them.
#pragma once

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

// One spec an entry; a folder stands for the text files right in it, in the order of their names: .txt, .train, .dev,
// .test, .valid, .jsonl and .ndjson, also compressed. DataError for a folder without any.
std::vector<SourceSpec> parse_sources(const std::vector<std::string>& entries);

}  // namespace blalm
