// Ctrl-C and SIGTERM: noted, and acted on where it is safe.
#pragma once

namespace blalm {

// While alive, SIGINT and SIGTERM set a flag instead of ending the process; a second SIGINT ends it at once.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  static bool requested();
};

}  // namespace blalm
