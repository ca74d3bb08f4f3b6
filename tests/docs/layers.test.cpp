// Includes follow the arrows of docs/architecture.md: none against them, none in a circle, none that names no file.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "tests/support/paths.h"

namespace {

namespace fs = std::filesystem;

using Arrows = std::map<std::string, std::set<std::string>>;

// The block of lines "models → engine/ops engine/io".
Arrows drawn_arrows() {
  std::ifstream in(blalm::testing::source_folder() + "/docs/architecture.md");
  const std::string arrow = " → ";
  Arrows arrows;
  bool block = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("```")) block = !block;
    const std::size_t at = line.find(arrow);
    if (!block || at == std::string::npos) continue;
    std::istringstream from(line.substr(0, at)), to(line.substr(at + arrow.size()));
    std::string folder;
    from >> folder;
    for (std::string target; to >> target;) arrows[folder].insert(target);
  }
  return arrows;
}

// What a folder reaches, itself among it; it fails when a way leads back.
std::set<std::string> reached(const Arrows& arrows, const std::string& folder) {
  std::set<std::string> found;
  std::set<std::string> open;
  const std::function<void(const std::string&)> visit = [&](const std::string& at) {
    CHECK_MESSAGE(open.insert(at).second, "a circle of layers through " << at);
    if (found.insert(at).second)
      if (const auto targets = arrows.find(at); targets != arrows.end())
        for (const std::string& target : targets->second) visit(target);
    open.erase(at);
  };
  visit(folder);
  return found;
}

// "engine/core" of "engine/core/tensor.h", "data" of "data/text/words.h".
std::string layer_of(const std::string& path) {
  const std::size_t first = path.find('/');
  return path.starts_with("engine/") ? path.substr(0, path.find('/', first + 1)) : path.substr(0, first);
}

std::set<std::string> includes_of(const fs::path& file) {
  static const std::regex include("^#include \"([^\"]+)\"");
  std::set<std::string> found;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (std::smatch match; std::regex_search(line, match, include)) found.insert(match[1]);
  return found;
}

// Every source of the program, by its path in the tree, with what it includes.
std::map<std::string, std::set<std::string>> sources() {
  const fs::path root = blalm::testing::source_folder();
  std::map<std::string, std::set<std::string>> all;
  for (const char* top : {"engine", "models", "optim", "data", "apps"})
    for (const auto& entry : fs::recursive_directory_iterator(root / top))
      if (const auto extension = entry.path().extension(); extension == ".cpp" || extension == ".h")
        all[entry.path().lexically_relative(root).string()] = includes_of(entry.path());
  return all;
}

}  // namespace

TEST_CASE("every include is a path of the tree and follows an arrow of docs/architecture.md") {
  const Arrows arrows = drawn_arrows();
  CHECK(arrows.size() >= 9);
  Arrows used;
  const auto files = sources();
  CHECK(files.size() > 300);
  for (const auto& source : files) {
    const std::string &file = source.first, layer = layer_of(file);
    const std::set<std::string> allowed = reached(arrows, layer);
    for (const std::string& include : source.second) {
      CHECK_MESSAGE(files.contains(include), file << " includes " << include << ", which is no file of the tree");
      CHECK_MESSAGE(allowed.contains(layer_of(include)), file << " includes " << include << ", against the arrows");
      used[layer].insert(layer_of(include));
    }
  }
  for (const auto& drawn : arrows)
    for (const std::string& target : drawn.second)
      CHECK_MESSAGE(used[drawn.first].contains(target),
                    "no include follows the arrow " << drawn.first << " → " << target);
}

TEST_CASE("no header includes itself, by whatever way") {
  const auto files = sources();
  std::set<std::string> done, open;
  const std::function<void(const std::string&)> visit = [&](const std::string& file) {
    if (done.contains(file) || !files.contains(file)) return;
    CHECK_MESSAGE(open.insert(file).second, file << " includes itself");
    for (const std::string& include : files.at(file))
      if (!open.contains(include))
        visit(include);
      else
        FAIL_CHECK(file << " and " << include << " include each other");
    open.erase(file);
    done.insert(file);
  };
  for (const auto& [file, includes] : files) visit(file);
}

TEST_CASE("no command includes another command's folder") {
  for (const auto& source : sources()) {
    const std::string& file = source.first;
    if (!file.starts_with("apps/") || file == "apps/main.cpp") continue;
    const std::string own = file.substr(0, file.find('/', 5) + 1);  // "apps/train/", or "apps/common/"
    for (const std::string& include : source.second)
      if (include.starts_with("apps/"))
        CHECK_MESSAGE((include.starts_with("apps/common/") || include.starts_with(own)), file << " includes " << include);
  }
}
