// Ctrl-C, SIGTERM and a terminal that is closed: noted, and acted on where it is safe.
#pragma once

namespace blalm {

// While alive, SIGINT, SIGTERM and SIGHUP set a flag instead of ending the process; a second SIGINT ends it at once.
// SIGHUP stays ignored where it was, as under nohup.
class StopSignals {
 public:
  // `notice`, which must outlive this: a line for people that the first signal writes to standard error at once,
  // whatever the program is at. Null: none.
  explicit StopSignals(const char* notice = nullptr);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  static bool requested();
  // Another notice from now on.
  static void announce(const char* notice);
};

}  // namespace blalm
