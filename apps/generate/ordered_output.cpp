#include "apps/generate/ordered_output.h"

namespace blalm {

void OrderedOutput::add(std::size_t text, std::string_view piece) {
  waiting_[text].unseen += piece;
  show();
}

void OrderedOutput::end(std::size_t text) {
  waiting_[text].ended = true;
  show();
}

void OrderedOutput::show() {
  for (; current_ < waiting_.size(); ++current_) {
    Text& text = waiting_[current_];
    if (!text.unseen.empty() && (stream_ || text.ended)) {
      write_(text.unseen);
      text.unseen.clear();
    }
    if (!text.ended) return;
  }
}

}  // namespace blalm
