#include "data/text/corpus.h"

#include <utility>

#include "data/text/words.h"

namespace blalm {
namespace {

void cut_to(TextLine& line, std::int64_t words) {
  const std::string_view kept = line.text.substr(0, end_of_word(line.text, words));
  line.bytes -= static_cast<std::int64_t>(line.text.size() - kept.size());
  line.text = kept;
  line.words = words;
  line.invalid_bytes = count_text(kept).invalid_bytes;
}

}  // namespace

CorpusReader::CorpusReader(std::vector<SourcePlan> plan, TextOptions options)
    : plan_(std::move(plan)), options_(std::move(options)) {}

void CorpusReader::begin_source() {
  const SourcePlan& plan = plan_[reports_.size()];
  source_ = std::make_unique<TextSource>(plan.path, options_);
  line_index_ = 0;
  reports_.push_back({plan.path, {}, {}, false});
}

bool CorpusReader::next(CorpusLine& line) {
  for (;; source_.reset()) {
    if (source_ == nullptr) {
      if (reports_.size() == plan_.size()) return false;
      begin_source();
    }
    const SourcePlan& plan = plan_[reports_.size() - 1];
    SourceReport& report = reports_.back();
    if (!source_->next(line.line)) continue;
    const bool held_out = plan.held_out.contains(line_index_++);
    line.part = held_out ? Part::valid : plan.part;
    TextStats& stats = line.part == Part::train ? report.train : report.valid;
    if (!held_out) {
      const std::int64_t left = plan.words - stats.words;
      report.capped = left == 0 || line.line.words > left;
      if (left == 0) continue;
      if (report.capped) cut_to(line.line, left);
    }
    stats.add(line.line);
    return true;
  }
}

TextStats CorpusReader::total(Part part) const {
  TextStats sum;
  for (const SourceReport& report : reports_) sum.add(part == Part::train ? report.train : report.valid);
  return sum;
}

}  // namespace blalm
