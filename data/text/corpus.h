// The lines of a corpus, each marked as training or validation text.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "data/text/corpus_plan.h"
#include "data/text/text_source.h"

namespace blalm {

// What was taken of one file.
struct SourceReport {
  std::filesystem::path path;
  TextStats train;
  TextStats valid;
  bool capped = false;  // there was more
};

struct CorpusLine {
  Part part = Part::train;
  TextLine line;  // valid until the next line is read
};

// Reads the files of a plan one after another, once. A line that reaches the cap of its file is cut after the last word
// that is allowed, so that exactly so many are taken; what comes after it is not read.
class CorpusReader {
 public:
  explicit CorpusReader(std::vector<SourcePlan> plan, TextOptions options = {});

  bool next(CorpusLine& line);  // false at the end
  // Of the files read so far, the current one included. Throws whatever TextSource throws.
  const std::vector<SourceReport>& reports() const { return reports_; }
  TextStats total(Part part) const;

 private:
  void begin_source();

  std::vector<SourcePlan> plan_;
  TextOptions options_;
  std::unique_ptr<TextSource> source_;  // the current one; null between two
  std::int64_t line_index_ = 0;         // in it
  std::vector<SourceReport> reports_;
};

}  // namespace blalm
