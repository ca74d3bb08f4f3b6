#include "apps/tokenize/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "apps/common/left_out.h"

namespace blalm {
namespace {

using PartText = std::function<std::string(Part)>;

std::string row(const char* label, const PartText& text) {
  return fmt::format("{:<16}{:>16}{:>16}\n", label, text(Part::train), text(Part::valid));
}

std::int64_t files_of(const PreparedData& data, Part part) {
  return std::ranges::count_if(
      data.sources, [&](const SourceReport& s) { return (part == Part::train ? s.train : s.valid).lines > 0; });
}

std::int64_t invalid_bytes(const PreparedData& data, Part part) {
  std::int64_t bytes = 0;
  for (const SourceReport& s : data.sources) bytes += (part == Part::train ? s.train : s.valid).invalid_bytes;
  return bytes;
}

}  // namespace

std::string summary(const ReadyData& ready, const DataConfig& config, double seconds) {
  const PreparedData& data = ready.report->data;
  const auto count = [&](std::int64_t (PreparedPart::*of)() const) {
    return [&data, of](Part p) { return grouped((data.part(p).*of)()); };
  };
  std::string text = row("", [](Part p) { return p == Part::train ? "training" : "validation"; });
  text += row("files", [&](Part p) { return grouped(files_of(data, p)); });
  text += row("lines", count(&PreparedPart::lines));
  text += row("words", count(&PreparedPart::words));
  text += row("bytes", count(&PreparedPart::bytes));
  text += row("tokens", count(&PreparedPart::tokens));
  text +=
      row("tokens a word", [&](Part p) { return fmt::format("{:.3f}", PrepareReport::tokens_per_word(data.part(p))); });
  text +=
      row("bytes a token", [&](Part p) { return fmt::format("{:.3f}", PrepareReport::bytes_per_token(data.part(p))); });
  if (invalid_bytes(data, Part::train) + invalid_bytes(data, Part::valid) > 0)
    text += row("bytes not UTF-8", [&](Part p) { return grouped(invalid_bytes(data, p)); });

  std::size_t width = 16;
  for (const SourceReport& s : data.sources) width = std::max(width, s.path.filename().string().size() + 2);
  text += fmt::format("\n{:<{}}{:>16}{:>16}\n", "words of", width, "training", "validation");
  for (const SourceReport& s : data.sources)
    text += fmt::format("{:<{}}{:>16}{:>16}{}\n", s.path.filename().string(), width, grouped(s.train.words),
                        grouped(s.valid.words), s.capped ? "  (there is more)" : "");
  for (const std::string& sentence : what_was_left_out(ready)) text += sentence + "\n";

  const std::int64_t vocabulary = ready.tokenizer.vocab_size();
  const bool trained = config.tokenizer.empty();
  text += fmt::format("\n{:<16}{:>16}{}\n", "vocabulary", grouped(vocabulary),
                      trained && vocabulary < config.vocab_size
                          ? fmt::format("  (of {} asked for: the text has no more pairs)", grouped(config.vocab_size))
                          : "");
  text += fmt::format("{:<16}{:>16.1f}", "seconds", seconds);
  text += trained ? fmt::format("  (tokenizer {:.1f}, tokens {:.1f})\n", ready.tokenizer_seconds, ready.report->seconds)
                  : "\n";
  text += fmt::format("{:<16}{}\n", "written to", ready.folder.string());
  return text;
}

}  // namespace blalm
