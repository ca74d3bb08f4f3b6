// Progress for people: one line that is redrawn on a terminal, a plain line now and then when piped.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace blalm {

// "4.2 s", "3:07", "2:15:30"; "-" when not finite or above 99 h.
std::string human_time(double seconds);
// "950", "12.3k", "4.56M".
std::string human_count(double n);
// "950", "12,345", "4,560,000".
std::string grouped(std::int64_t n);

// A part of a progress line. Where the terminal is too narrow, parts of the largest rank go first; those of rank 0
// stay.
struct ProgressPart {
  std::string text;
  int rank = 0;
};
// The parts that fit into `width` characters, two spaces between them.
std::string fit(std::vector<ProgressPart> parts, std::size_t width);

class Progress {
 public:
  // Writes to standard output, as write_aside() does. `every`: seconds between plain lines when it is not a terminal.
  explicit Progress(double every = 10);
  ~Progress();

  // Shows the parts, with a bar for done/total in front when total > 0 and there is room. Redraws at most ten times a
  // second; when piped, prints at most every `every` seconds. What is `important` is shown in any case. On a terminal
  // the line tells from then on, second by second, for how long it has stood there, until something else is shown.
  void update(const std::vector<ProgressPart>& parts, double done, double total, bool important = false);
  void update(const std::string& text, double done = 0, double total = 0);
  // From now on, gives `file` the plain lines that update() prints when piped, or would print.
  void copy_to(std::function<void(const std::string&)> file) { file_ = std::move(file); }
  // Prints a line that stays, above the redrawn one.
  void line(const std::string& text);
  // Removes the redrawn line.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  void draw(const std::string& after);
  void erase();
  void tick(std::stop_token stop);

  Clock::time_point updated_{}, printed_;
  std::function<void(const std::string&)> file_;
  double every_;
  bool terminal_;
  bool shown_ = false;               // something is there to erase
  std::vector<ProgressPart> parts_;  // what stands on the line; none when nothing does
  double done_ = 0, total_ = 0;
  std::mutex mutex_;  // of all of it, between the thread that works and the one that ticks
  std::condition_variable_any stopped_;
  std::jthread ticker_;  // begins with the first line on a terminal
};

}  // namespace blalm
