// The program: finds the command, runs it, and turns errors into one line and an exit code (design §10).
#include <fmt/format.h>

#include <csignal>
#include <exception>
#include <string_view>
#include <system_error>
#include <vector>

#include "apps/common/command.h"
#include "apps/common/fault.h"
#include "apps/common/output.h"
#include "apps/common/thread_waiting.h"
#include "engine/core/error.h"
#include "engine/core/fields.h"

namespace {

using blalm::Command;
using blalm::print_out;

const std::vector<Command> kCommands = {blalm::tokenize_command, blalm::train_command, blalm::generate_command,
                                        blalm::inspect_command,  blalm::check_command, blalm::bench_command};

void list_commands() {
  print_out(
      "blalm trains and inspects small language models with linear attention, on CPUs.\n\nusage: blalm COMMAND "
      "[OPTIONS]\n\n");
  for (const Command& c : kCommands) print_out("  {:<10} {}\n", c.name, c.summary);
  print_out("\n'blalm COMMAND --help' gives options, defaults and an example.\n");
}

int run(int argc, char** argv) {
  const std::string_view name = argc > 1 ? argv[1] : "";
  if (name.empty() || name == "help" || name == "--help" || name == "-h") {
    list_commands();
    return 0;
  }
  if (name == "--version") {
    print_out("blalm {}\n", BLALM_VERSION);
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& c : kCommands) {
    if (c.name == name) return static_cast<int>(c.run(argc - 1, argv + 1));
    names.emplace_back(c.name);
  }
  const std::string near = blalm::nearest(name, names);
  throw blalm::ConfigError(blalm::expected_got("blalm", "a command", name,
                                               near.empty() ? "'blalm' lists them" : "did you mean " + near + "?"));
}

}  // namespace

int main(int argc, char** argv) {
  blalm::wait_briefly(argv);
  blalm::prepare_output();
  // A file-size limit then fails the write, which becomes a DataError like a full disk.
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    const int code = run(argc, argv);
    if (const int error = blalm::lost_output(); error != 0)
      blalm::print_error("blalm: not all that was said could be written to standard output: {}\n",
                         std::generic_category().message(error));
    return code;
  } catch (const blalm::OutputClosed&) {
    return blalm::kOutputClosedExitCode;
  } catch (const std::exception& e) {
    const blalm::Fault fault = blalm::fault_of(e, fmt::format("blalm {}", argc > 1 ? argv[1] : ""));
    blalm::print_error("blalm: {}\n", fault.line);
    return static_cast<int>(fault.code);
  }
}
