// Another program that does the same work, run beside the measurements.
#pragma once

#include <string>
#include <vector>

namespace blalm::bench {

class Peer {
 public:
  // A command for the shell, whose output says "tok/s=NUMBER" (the last one counts).
  explicit Peer(std::string command) : command_(std::move(command)) {}

  // DataError when the command fails or does not say it.
  void run();

  const std::string& command() const { return command_; }
  const std::vector<double>& tokens_per_second() const { return tokens_per_second_; }  // of each run

 private:
  std::string command_;
  std::vector<double> tokens_per_second_;
};

}  // namespace blalm::bench
