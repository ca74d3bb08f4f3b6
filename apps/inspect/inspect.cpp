// blalm inspect SUBJECT: finds the subject and lets it run.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "apps/common/output.h"
#include "apps/inspect/subjects.h"
#include "engine/core/error.h"
#include "engine/core/fields.h"

namespace blalm {
namespace {

const std::vector<Command>& subjects() {
  static const std::vector<Command> list = {inspect_model, inspect_kernels};
  return list;
}

std::vector<std::string> subject_names() {
  std::vector<std::string> names;
  for (const Command& s : subjects()) names.emplace_back(s.name);
  return names;
}

void print_help() {
  print_out("Shows what the program is made of.\n\nUsage:\n  blalm inspect SUBJECT [OPTIONS]\n\n");
  for (const Command& s : subjects()) print_out("  {:<10} {}\n", s.name, s.summary);
  print_out(
      "\n'blalm inspect SUBJECT --help' gives its options.\n\nexample: blalm inspect model --preset full --size "
      "nano\n");
}

ExitCode run_inspect(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h") {
    print_help();
    return ExitCode::kDone;
  }
  for (const Command& s : subjects())
    if (s.name == name) return s.run(argc - 1, argv + 1);
  const std::string near = name.empty() ? "" : nearest(name, subject_names());
  throw ConfigError(expected_got("blalm inspect", fmt::format("{}", fmt::join(subject_names(), " or ")),
                                 name.empty() ? "nothing" : name,
                                 near.empty() ? "see --help" : "did you mean " + near + "?"));
}

}  // namespace

constinit const Command inspect_command{"inspect", "look at models and kernels", run_inspect};

}  // namespace blalm
