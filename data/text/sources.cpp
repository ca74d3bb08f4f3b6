#include "data/text/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "data/shards/prepared.h"
#include "data/text/words.h"
#include "engine/core/error.h"
#include "engine/core/fields.h"

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
  const bool hidden = path.filename().string().starts_with('.');
  return !hidden && is_one_of((compressed ? path.stem() : path).extension(), kTextExtensions);
}

struct FolderFiles {
  std::vector<fs::path> text, others;  // by name
};

FolderFiles files_in(const fs::path& folder) {
  FolderFiles files;
  std::error_code ignored;
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      if (entry.is_regular_file(ignored) && is_text_name(entry.path()))
        files.text.push_back(entry.path());
      else
        files.others.push_back(entry.is_directory(ignored) ? entry.path() / "" : entry.path());
    }
  } catch (const fs::filesystem_error& error) {
    throw DataError(expected_got("read", fmt::format("a readable folder '{}'", folder.string()),
                                 fmt::format("'{}'", error.code().message())));
  }
  std::ranges::sort(files.text);
  std::ranges::sort(files.others);
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

std::vector<std::string> files_named(const std::string& text) {
  const auto is_there = [](const std::string& name) {
    std::error_code ignored;
    const auto colon = name.rfind(':');  // a cap
    const bool capped = colon != name.npos && name.find(',', colon) == name.npos;
    return fs::exists(name, ignored) || (capped && fs::exists(name.substr(0, colon), ignored));
  };
  if (text.find(',') == text.npos || is_there(text)) return {text};
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    std::string part = text.substr(begin, end - begin);
    if (!is_there(part)) part = std::string(strip(part));
    parts.push_back(std::move(part));
    begin = end + 1;
  }
  return std::ranges::any_of(parts, is_there) ? parts : std::vector<std::string>{text};
}

std::vector<SourceSpec> parse_sources(const std::vector<std::string>& entries, std::vector<fs::path>* left_out) {
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
    if (is_prepared(spec.path))
      throw ConfigError(expected_got("data", "files of text", fmt::format("prepared data, '{}'", spec.path.string()),
                                     "it goes alone into data.train"));
    const FolderFiles files = files_in(spec.path);
    if (files.text.empty()) {
      throw DataError(
          expected_got("read", fmt::format("text files in the folder '{}'", entry),
                       files.others.empty() ? "an empty one" : some_of(files.others, 3),
                       "names end in .txt, .train, .dev, .test, .valid or .jsonl, perhaps with .xz, .gz, .zst"));
    }
    if (left_out != nullptr) left_out->insert(left_out->end(), files.others.begin(), files.others.end());
    for (const fs::path& file : files.text) specs.push_back({file, kAllWords});
  }
  return specs;
}

std::string some_of(const std::vector<fs::path>& paths, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(most, paths.size()); ++i)
    text += fmt::format("{}'{}'", i == 0 ? "" : ", ", paths[i].string());
  return paths.size() > most ? fmt::format("{} and {} more", text, paths.size() - most) : text;
}

}  // namespace blalm
