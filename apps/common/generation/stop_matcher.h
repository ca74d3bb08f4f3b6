// Finds the end of a text that comes in pieces: the first of some stop strings to be complete, whatever the pieces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace blalm {

class StopMatcher {
 public:
  // Stop strings that are not empty; none: the text never stops.
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // The text that is certain with this piece: nothing of a stop string, and nothing that might become one. After a stop
  // string was found, nothing more.
  std::string push(std::string_view piece);
  // What was held back: no more will come.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace blalm
