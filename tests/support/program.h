// Runs the built program as a user would, for tests of the command line.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "tests/support/paths.h"

namespace blalm::testing {

struct Outcome {
  int exit_code = -1;
  std::string output;  // standard output and standard error, as they came
};

// What a shell makes of `command`; the output is what comes on its standard output.
inline Outcome run_shell(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("popen failed");
  Outcome outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

inline constexpr const char* kBothStreams = "2>&1 </dev/null";
inline constexpr const char* kStandardOutput = "2>/dev/null </dev/null";
inline constexpr const char* kStandardError = "2>&1 >/dev/null </dev/null";

// `arguments` goes through the shell: "check 'a file'". Standard output is a pipe and standard input empty, unless
// `redirections` say otherwise. `before` goes before the program in the same shell: "ulimit -f 20; ".
inline Outcome run_blalm(const std::string& arguments, const std::string& redirections = kBothStreams,
                         const std::string& before = "") {
  return run_shell(before + "'" + testing::build_folder() + "/blalm' " + arguments + " " + redirections);
}

}  // namespace blalm::testing
