// Runs the built program as a user would, for tests of the command line.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace blalm::testing {

struct Outcome {
  int exit_code = -1;
  std::string output;  // standard output and standard error, as they came
};

// `arguments` goes through the shell: "check 'a file'". Standard input is empty and standard output a pipe.
inline Outcome run_blalm(const std::string& arguments) {
  const std::string command = std::string("'") + BLALM_BUILD_DIR + "/blalm' " + arguments + " 2>&1 </dev/null";
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen failed");
  Outcome outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) outcome.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

}  // namespace blalm::testing
