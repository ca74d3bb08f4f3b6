#include "apps/common/signals.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace blalm {
namespace {

volatile std::sig_atomic_t stop = 0;
std::atomic<const char*> notice_text = nullptr;
static_assert(std::atomic<const char*>::is_always_lock_free);  // else no handler may read it
constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
std::array<struct sigaction, kSignals.size()> old_actions;

void put(const char* text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;  // nobody is there to read it
}

void handle(int signal) {
  const int error = errno;
  if (stop != 0 && signal == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  const bool first = stop == 0;
  stop = 1;  // before the notice: writing may wait for whoever reads, and a second SIGINT has to end that
  if (const char* notice = notice_text; first && notice != nullptr) {
    if (isatty(STDERR_FILENO) != 0) put("\r\x1b[K");  // over a line of progress
    put(notice);
    put("\n");
  }
  errno = error;
}

}  // namespace

StopSignals::StopSignals(const char* notice) {
  stop = 0;
  notice_text = notice;
  struct sigaction action {};
  action.sa_handler = handle;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART | SA_NODEFER;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &old_actions[i]);
    const bool is_under_nohup = kSignals[i] == SIGHUP && old_actions[i].sa_handler == SIG_IGN;
    if (!is_under_nohup) sigaction(kSignals[i], &action, nullptr);
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &old_actions[i], nullptr);
}

bool StopSignals::requested() { return stop != 0; }

void StopSignals::announce(const char* notice) { notice_text = notice; }

}  // namespace blalm
