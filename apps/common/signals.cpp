#include "blalm/apps/common/signals.h"

#include <csignal>

namespace blalm {
namespace {

volatile std::sig_atomic_t stop = 0;
struct sigaction old_interrupt, old_terminate;

void handle(int signal) {
  if (stop != 0 && signal == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  stop = 1;
}

}  // namespace

StopSignals::StopSignals() {
  stop = 0;
  struct sigaction action {};
  action.sa_handler = handle;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &old_interrupt);
  sigaction(SIGTERM, &action, &old_terminate);
}

StopSignals::~StopSignals() {
  sigaction(SIGINT, &old_interrupt, nullptr);
  sigaction(SIGTERM, &old_terminate, nullptr);
}

bool StopSignals::requested() { return stop != 0; }

}  // namespace blalm
