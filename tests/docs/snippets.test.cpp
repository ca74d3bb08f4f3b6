// Code in the documentation must stand in the file that it names: a path in backquotes on the line above a block.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"

namespace testing = blalm::testing;

namespace {

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

struct Snippet {
  std::string document, file, code;
};

std::vector<Snippet> snippets(const std::filesystem::path& document) {
  std::vector<Snippet> found;
  std::istringstream in(read(document));
  std::string previous;
  for (std::string line; std::getline(in, line); previous = line) {
    if (line != "```cpp" || previous.size() < 3 || previous.front() != '`' || previous.back() != '`') continue;
    Snippet s{document.filename().string(), previous.substr(1, previous.size() - 2), ""};
    while (std::getline(in, line) && line != "```") s.code += line + "\n";
    found.push_back(s);
  }
  return found;
}

}  // namespace

TEST_CASE("code quoted in docs/ is the code of the tree") {
  const std::filesystem::path root = testing::source_folder();
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs")) {
    if (entry.path().extension() != ".md") continue;
    for (const Snippet& s : snippets(entry.path())) {
      ++checked;
      const std::string source = read(root / s.file);
      CHECK_MESSAGE(source.find(s.code) != std::string::npos, s.document << " quotes code that is not in " << s.file
                                                                         << ":\n"
                                                                         << s.code);
    }
  }
  CHECK(checked >= 10);
}

TEST_CASE("files and folders that the documentation names exist") {
  const std::filesystem::path root = testing::source_folder();
  std::vector<std::filesystem::path> documents = {root / "README.md"};
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs"))
    if (entry.path().extension() == ".md") documents.push_back(entry.path());
  for (const auto& document : documents) {
    const std::string text = read(document);
    for (std::size_t at = text.find('`'); at != std::string::npos;) {
      const std::size_t end = text.find('`', at + 1);
      if (end == std::string::npos) break;
      const std::string word = text.substr(at + 1, end - at - 1);
      for (const std::string top : {"engine/", "models/", "optim/", "data/", "apps/", "tests/", "docs/"})
        if (word.starts_with(top) && word.find_first_of(" *\n") == std::string::npos)
          CHECK_MESSAGE(std::filesystem::exists(root / word), document.filename().string() << " names " << word);
      at = text.find('`', end + 1);
    }
  }
}

// `tests/…/x.test.cpp`: "one case", "another"
TEST_CASE("test cases that the documentation names exist") {
  const std::filesystem::path root = testing::source_folder();
  const std::regex names("`(tests/[^`]*[.]test[.]cpp)`:((,? \"[^\"]+\")+)"), quoted("\"[^\"]+\"");
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root / "docs")) {
    if (entry.path().extension() != ".md") continue;
    const std::string document = read(entry.path());
    for (std::sregex_iterator at(document.begin(), document.end(), names), end; at != end; ++at) {
      // A name too long for a line is several literals.
      const std::string source = std::regex_replace(read(root / (*at)[1].str()), std::regex("\"\n *\""), ""),
                        cases = (*at)[2];
      for (std::sregex_iterator name(cases.begin(), cases.end(), quoted); name != end; ++name, ++checked)
        CHECK_MESSAGE(source.find(name->str()) != std::string::npos,
                      entry.path().filename().string() << ": no " << name->str() << " in " << (*at)[1]);
    }
  }
  CHECK(checked >= 10);
}

TEST_CASE("every formula that a source cites has its section in docs/mathematics.md") {
  const std::filesystem::path root = testing::source_folder();
  std::set<std::string> sections;
  std::istringstream lines(read(root / "docs/mathematics.md"));
  const std::regex heading("^##+ §([0-9.]+) .*");
  for (std::string line; std::getline(lines, line);)
    if (std::smatch m; std::regex_match(line, m, heading)) sections.insert(m[1]);
  int cited = 0;
  const std::regex citation("[Ss]pec (§[0-9.]+(, | to | and )?)+"), number("[0-9]+([.][0-9]+)?");
  for (const char* top : {"engine", "models", "optim", "data", "apps", "tests"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / top)) {
      if (entry.path().extension() != ".cpp" && entry.path().extension() != ".h") continue;
      const std::string text = read(entry.path());
      for (std::sregex_iterator at(text.begin(), text.end(), citation), end; at != end; ++at) {
        const std::string words = at->str();
        for (std::sregex_iterator n(words.begin(), words.end(), number); n != end; ++n, ++cited)
          CHECK_MESSAGE(sections.contains(n->str()), entry.path().string() << " cites " << words);
      }
    }
  CHECK(cited > 100);
}
