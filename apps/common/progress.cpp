#include "apps/common/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "apps/common/output.h"
#include "engine/core/utf8.h"

namespace blalm {
namespace {

std::size_t terminal_width() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string human_time(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds >= 99 * 3600) return "-";
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const auto s = static_cast<std::int64_t>(std::llround(seconds));
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string human_count(double n) {
  if (n < 999.5) return fmt::format("{:.0f}", n);
  const double value = n < 999500 ? n / 1e3 : n < 999.5e6 ? n / 1e6 : n / 1e9;
  return fmt::format("{:.{}f}{}", value,
                     value < 9.995   ? 2
                     : value < 99.95 ? 1
                                     : 0,
                     n < 999500    ? "k"
                     : n < 999.5e6 ? "M"
                                   : "G");
}

std::string grouped(std::int64_t n) {
  std::string digits = std::to_string(n);
  const std::int64_t first = n < 0 ? 1 : 0;
  for (auto i = static_cast<std::int64_t>(digits.size()) - 3; i > first; i -= 3)
    digits.insert(static_cast<std::size_t>(i), 1, ',');
  return digits;
}

std::string fit(std::vector<ProgressPart> parts, std::size_t width) {
  for (;;) {
    std::string line;
    for (const ProgressPart& part : parts) line += (line.empty() ? "" : "  ") + part.text;
    const auto least = std::ranges::max_element(parts, {}, &ProgressPart::rank);
    if (line.size() <= width || least == parts.end() || least->rank == 0) return line.substr(0, width);
    parts.erase(least);
  }
}

Progress::Progress(double every)
    : printed_(std::chrono::steady_clock::now()), every_(every), terminal_(isatty(STDOUT_FILENO) != 0) {}

Progress::~Progress() {
  if (ticker_.joinable()) {
    ticker_.request_stop();
    ticker_.join();
  }
  clear();
}

void Progress::update(const std::vector<ProgressPart>& parts, double done, double total, bool important) {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  const auto since = [&](auto then) { return std::chrono::duration<double>(now - then).count(); };
  if (important || since(printed_) >= every_) {
    const std::string line = fit(parts, std::string::npos);
    if (file_) file_(line);
    if (!terminal_) print_aside("{}\n", line);
    printed_ = now;
  }
  if (!terminal_) return;
  if (!important && shown_ && since(updated_) < 0.1) return;
  parts_ = parts;
  done_ = done;
  total_ = total;
  updated_ = now;
  draw("");
  if (!ticker_.joinable()) ticker_ = std::jthread([this](std::stop_token stop) { tick(stop); });
}

// `after` comes at the end of the line, where there is room.
void Progress::draw(const std::string& after) {
  const std::size_t width = terminal_width() - 1;  // a line that fills the last column would wrap
  std::string line = fit(parts_, width);
  if (line.size() + after.size() <= width) line += after;
  constexpr std::size_t kBar = 20;
  if (total_ > 0 && width >= line.size() + kBar + 3) {
    const auto filled = static_cast<std::size_t>(std::clamp(done_ / total_, 0.0, 1.0) * static_cast<double>(kBar));
    line = fmt::format("[{}{}] {}", std::string(filled, '='), std::string(kBar - filled, ' '), line);
  }
  write_aside(fmt::format("\r\x1b[K{}", utf8::printable(line)));
  shown_ = true;
}

void Progress::tick(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, stop, std::chrono::seconds(1), [&] { return stop.stop_requested(); })) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - updated_).count();
    if (!parts_.empty() && seconds >= 2) draw(fmt::format("  ({} s)", seconds));
  }
}

void Progress::update(const std::string& text, double done, double total) {
  update(std::vector<ProgressPart>{{text}}, done, total);
}

void Progress::line(const std::string& text) {
  const std::lock_guard lock(mutex_);
  erase();
  print_aside("{}\n", text);
}

void Progress::erase() {
  if (shown_) write_aside("\r\x1b[K");
  shown_ = false;
}

void Progress::clear() {
  const std::lock_guard lock(mutex_);
  erase();
  parts_.clear();
}

}  // namespace blalm
