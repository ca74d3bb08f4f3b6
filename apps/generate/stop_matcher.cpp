#include "blalm/apps/generate/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace blalm {

std::string StopMatcher::push(std::string_view piece) {
  if (stopped_) return {};
  held_ += piece;
  std::size_t end = std::string::npos, may_become = 0;
  for (const std::string& stop : stops_) {
    end = std::min(end, held_.find(stop));
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > may_become; --n)
      if (held_.ends_with(std::string_view(stop).substr(0, n))) may_become = n;
  }
  stopped_ = end != std::string::npos;
  const std::size_t certain = stopped_ ? end : held_.size() - may_become;
  std::string text = held_.substr(0, certain);
  held_ = stopped_ ? std::string() : held_.substr(certain);
  return text;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace blalm
