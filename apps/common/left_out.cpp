#include "apps/common/left_out.h"

#include <fmt/format.h>

#include <algorithm>

namespace blalm {

std::vector<std::string> what_was_left_out(const ReadyData& ready) {
  constexpr std::size_t kNamed = 10;
  std::vector<std::string> sentences;
  if (!ready.report) return sentences;
  const PreparedData& data = ready.report->data;
  if (data.train.blank_lines + data.valid.blank_lines > 0)
    sentences.push_back(fmt::format("blank lines left out: {} of the training text, {} of the validation text",
                                    grouped(data.train.blank_lines), grouped(data.valid.blank_lines)));
  std::vector<FileLines> wordless;
  for (const SourceReport& s : data.sources)
    if (s.train.words + s.valid.words == 0 && !s.capped) wordless.push_back({s.path, s.train.lines + s.valid.lines});
  if (!wordless.empty()) sentences.push_back(no_words_in(wordless));
  for (std::size_t i = 0; i < std::min(kNamed, ready.repeated.size()); ++i) sentences.push_back(ready.repeated[i]);
  if (ready.repeated.size() > kNamed)
    sentences.push_back(fmt::format("{} more files repeat others", ready.repeated.size() - kNamed));
  if (!ready.left_out.empty())
    sentences.push_back(fmt::format("{} left out of the folders, by their names no text: {}", ready.left_out.size(),
                                    some_of(ready.left_out, kNamed)));
  return sentences;
}

}  // namespace blalm
