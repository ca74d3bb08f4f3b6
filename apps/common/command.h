// The commands of the program, one folder each.
#pragma once

#include <string_view>

#include "engine/core/error.h"

namespace blalm {

struct Command {
  std::string_view name;
  std::string_view summary;  // one line for the list
  // argv[0] is the command's name. Throws Error; what it returns is the exit code.
  ExitCode (*run)(int argc, char** argv);
};

extern const Command bench_command;
extern const Command check_command;
extern const Command generate_command;
extern const Command inspect_command;
extern const Command tokenize_command;
extern const Command train_command;

}  // namespace blalm
