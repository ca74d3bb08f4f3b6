// Ctrl-C and SIGTERM: noted, and acted on where it is safe.
#pragma once

namespace blalm {

// While alive, SIGINT and SIGTERM set a flag instead of ending the process; a second SIGINT ends it at once.
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
