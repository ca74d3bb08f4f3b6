// Lines of text, plain and as JSON: what is taken is written as JSON Lines that give the same texts.
#include <fmt/format.h>

#include <vector>

#include "data/text/text_source.h"
#include "tests/fuzz/fuzz.h"

using namespace blalm;

namespace {

std::vector<std::string> texts_of(const std::filesystem::path& path) {
  TextSource source(path);
  std::vector<std::string> texts;
  TextLine line;
  while (source.next(line)) texts.emplace_back(line.text);
  fuzz::require(source.stats().lines == std::ssize(texts), "every line is counted");
  return texts;
}

// Bytes that are no text stay as they are, which our reader allows.
std::string as_json(const std::string& text) {
  std::string json = R"({"text":")";
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\')
      json += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    else
      json += c;
  }
  return json + "\"}\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  fuzz::taken(input, [&] { texts_of(fuzz::file_of(input, "input.txt")); });
  fuzz::taken(input, [&] {
    const std::vector<std::string> texts = texts_of(fuzz::file_of(input, "input.jsonl"));
    std::string written;
    for (const std::string& text : texts) written += as_json(text);
    fuzz::require(texts_of(fuzz::file_of(written, "copy.jsonl")) == texts, "texts are read as they were written",
                  written);
  });
  return 0;
}
