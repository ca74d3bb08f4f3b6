#include "blalm/apps/common/progress.h"
#include "blalm/apps/common/output.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

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

void Progress::update(const std::vector<ProgressPart>& parts, double done, double total, bool important) {
  const auto now = std::chrono::steady_clock::now();
  const auto since = [&](auto then) { return std::chrono::duration<double>(now - then).count(); };
  if (important || since(printed_) >= every_) {
    const std::string line = fit(parts, std::string::npos);
    if (file_) file_(line);
    if (!terminal_) {
      print_aside("{}\n", line);
    }
    printed_ = now;
  }
  if (!terminal_) return;
  if (!important && shown_ && since(drawn_) < 0.1) return;
  const std::size_t width = terminal_width() - 1;  // a line that fills the last column would wrap
  std::string line = fit(parts, width);
  constexpr std::size_t kBar = 20;
  if (total > 0 && width >= line.size() + kBar + 3) {
    const auto filled = static_cast<std::size_t>(std::clamp(done / total, 0.0, 1.0) * static_cast<double>(kBar));
    line = fmt::format("[{}{}] {}", std::string(filled, '='), std::string(kBar - filled, ' '), line);
  }
  print_aside("\r\x1b[K{}", line);
  drawn_ = now;
  shown_ = true;
}

void Progress::update(const std::string& text, double done, double total) {
  update(std::vector<ProgressPart>{{text}}, done, total);
}

void Progress::line(const std::string& text) {
  clear();
  print_aside("{}\n", text);
}

void Progress::clear() {
  if (shown_) write_aside("\r\x1b[K");
  shown_ = false;
}

}  // namespace blalm
