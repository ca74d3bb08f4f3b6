// Progress for people: one line that is redrawn on a terminal, a plain line now and then when piped.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace blalm {

// "4.2 s", "3:07", "2:15:30"; "-" when not finite or above 99 h.
std::string human_time(double seconds);
// "950", "12.3k", "4.56M".
std::string human_count(double n);

class Progress {
 public:
  // Writes to standard output. `every`: seconds between plain lines when it is not a terminal.
  explicit Progress(double every = 10);
  ~Progress() { clear(); }

  bool terminal() const { return terminal_; }
  // Shows `text`, with a bar for done/total in front when total > 0 and the terminal is wide enough. Redraws at most
  // ten times a second; when piped, prints at most every `every` seconds, and always when `last`.
  void update(const std::string& text, double done, double total, bool last = false);
  // Prints a line that stays, above the redrawn one.
  void line(const std::string& text);
  // Removes the redrawn line.
  void clear();

 private:
  std::chrono::steady_clock::time_point drawn_{}, printed_{};
  double every_;
  bool terminal_;
  bool shown_ = false, first_ = true;
};

}  // namespace blalm
