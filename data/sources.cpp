#include "blalm/data/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "blalm/core/error.h"
#include "blalm/core/fields.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTextExtensions[] = {".txt", ".train", ".dev", ".test", ".valid", ".jsonl", ".ndjson"};
constexpr std::string_view kCompressedExtensions[] = {".xz", ".gz", ".zst"};

bool is_one_of(const fs::path& extension, auto& extensions) {
  return std::ranges::find(extensions, extension.string()) != std::ranges::end(extensions);
}

bool is_text_name(const fs::path& path) {
  const bool compressed = is_one_of(path.extension(), kCompressedExtensions);
  return is_one_of((compressed ? path.stem() : path).extension(), kTextExtensions);
}

std::vector<fs::path> text_files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      if (entry.is_regular_file() && is_text_name(entry.path())) files.push_back(entry.path());
  } catch (const fs::filesystem_error& error) {
    throw DataError(expected_got("read", fmt::format("a readable folder '{}'", folder.string()),
                                 fmt::format("'{}'", error.code().message())));
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

SourceSpec parse_source(std::string_view text) {
  SourceSpec spec{fs::path(text), kAllWords};
  std::error_code ignored;
  const auto colon = text.rfind(':');
  if (colon == text.npos || fs::exists(spec.path, ignored)) return spec;
  Fields fields;
  fields.add(fmt::format("words of '{}'", text.substr(0, colon)), spec.words, "").at_least(1);
  fields.list().front().set(text.substr(colon + 1));
  spec.path = text.substr(0, colon);
  return spec;
}

std::vector<SourceSpec> parse_sources(const std::vector<std::string>& entries) {
  std::vector<SourceSpec> specs;
  for (const std::string& entry : entries) {
    const SourceSpec spec = parse_source(entry);
    std::error_code ignored;
    if (!fs::is_directory(spec.path, ignored)) {
      specs.push_back(spec);
      continue;
    }
    if (spec.words != kAllWords) {
      throw ConfigError(expected_got("data", "a number of words for a file",
                                     fmt::format("one for the folder '{}'", entry), "name its files one by one"));
    }
    const std::vector<fs::path> files = text_files_in(spec.path);
    if (files.empty()) {
      throw DataError(
          expected_got("read", fmt::format("text files in the folder '{}'", entry), "none",
                       "names end in .txt, .train, .dev, .test, .valid or .jsonl, perhaps with .xz, .gz, .zst"));
    }
    for (const fs::path& file : files) specs.push_back({file, kAllWords});
  }
  return specs;
}

}  // namespace blalm
