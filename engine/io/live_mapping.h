// Files that other processes cut short while they are mapped here: touching what is gone raises SIGBUS.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace blalm {

// A mapping that is in use. From the first one on, a SIGBUS within any of them ends the process in one line that names
// its file, with the exit code of a data error; any other SIGBUS does what it did before.
class LiveMapping {
 public:
  LiveMapping(std::span<const std::byte> bytes, const std::filesystem::path& path);
  LiveMapping(const LiveMapping&) = delete;
  LiveMapping& operator=(const LiveMapping&) = delete;
  ~LiveMapping();

  struct Slot;

 private:
  Slot* slot_;
};

}  // namespace blalm
