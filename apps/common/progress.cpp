#include "blalm/apps/common/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

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

Progress::Progress(double every) : every_(every), terminal_(isatty(STDOUT_FILENO) != 0) {}

void Progress::update(const std::string& text, double done, double total, bool last) {
  const auto now = std::chrono::steady_clock::now();
  const auto since = [&](auto then) { return std::chrono::duration<double>(now - then).count(); };
  if (!terminal_) {
    if (!last && !first_ && since(printed_) < every_) return;
    fmt::print("{}\n", text);
    std::fflush(stdout);
    printed_ = now;
    first_ = false;
    return;
  }
  if (!last && shown_ && since(drawn_) < 0.1) return;
  const std::size_t width = terminal_width();
  std::string line = text;
  constexpr std::size_t kBar = 20;
  if (total > 0 && width > text.size() + kBar + 4) {
    const auto filled = static_cast<std::size_t>(std::clamp(done / total, 0.0, 1.0) * static_cast<double>(kBar));
    line = fmt::format("[{}{}] {}", std::string(filled, '='), std::string(kBar - filled, ' '), text);
  }
  fmt::print("\r\x1b[K{}", line.substr(0, width > 1 ? width - 1 : 1));
  std::fflush(stdout);
  drawn_ = now;
  shown_ = true;
}

void Progress::line(const std::string& text) {
  clear();
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

void Progress::clear() {
  if (shown_) {
    fmt::print("\r\x1b[K");
    std::fflush(stdout);
  }
  shown_ = false;
}

}  // namespace blalm
