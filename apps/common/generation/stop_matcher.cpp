#include "apps/common/generation/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace blalm {

std::string StopMatcher::push(std::string_view piece) {
  if (stopped_) return {};
  held_ += piece;
  std::size_t begin = std::string::npos, end = std::string::npos, may_become = 0;
  for (const std::string& stop : stops_) {
    const std::size_t at = held_.find(stop), after = at == std::string::npos ? at : at + stop.size();
    if (after < end || (after == end && at < begin)) {
      begin = at;
      end = after;
    }
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > may_become; --n)
      if (held_.ends_with(std::string_view(stop).substr(0, n))) may_become = n;
  }
  stopped_ = begin != std::string::npos;
  const std::size_t certain = stopped_ ? begin : held_.size() - may_become;
  std::string text = held_.substr(0, certain);
  held_ = stopped_ ? std::string() : held_.substr(certain);
  return text;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace blalm
