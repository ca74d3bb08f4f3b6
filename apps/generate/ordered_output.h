// Texts that grow at the same time, shown one after another.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace blalm {

// The first text that has not ended is shown as it grows; later ones wait until it is their turn.
class OrderedOutput {
 public:
  using Write = std::function<void(std::string_view)>;

  // stream false: a text is shown when it has ended.
  OrderedOutput(std::size_t texts, bool stream, Write write)
      : waiting_(texts), write_(std::move(write)), stream_(stream) {}

  void add(std::size_t text, std::string_view piece);
  void end(std::size_t text);

 private:
  struct Text {
    std::string unseen;
    bool ended = false;
  };
  void show();

  std::vector<Text> waiting_;
  Write write_;
  bool stream_;
  std::size_t current_ = 0;
};

}  // namespace blalm
