// blalm bench WHAT: finds what to measure and lets it run; a training step when nothing is named.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "blalm/apps/bench/benches.h"
#include "blalm/core/error.h"
#include "blalm/core/fields.h"

namespace blalm {
namespace {

const std::vector<Command>& benches() {
  static const std::vector<Command> list = {bench_step, bench_decode, bench_kernels};
  return list;
}

void print_help() {
  fmt::print(
      "Measures speed on this machine.\n\nUsage:\n  blalm bench [WHAT] [OPTIONS]\n\nWithout WHAT, a training "
      "step.\n\n");
  for (const Command& b : benches()) fmt::print("  {:<10} {}\n", b.name, b.summary);
  fmt::print(
      "\n'blalm bench WHAT --help' gives its options.\n\nexample: blalm bench step --preset mlstm --size small --batch "
      "4 --precision bf16\n");
}

ExitCode run(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "";
  if (name == "--help" || name == "-h") {
    print_help();
    return ExitCode::kDone;
  }
  if (name.empty() || name.starts_with("-")) return bench_step.run(argc, argv);
  std::vector<std::string> names;
  for (const Command& b : benches()) {
    if (b.name == name) return b.run(argc - 1, argv + 1);
    names.emplace_back(b.name);
  }
  const std::string near = nearest(name, names);
  throw ConfigError(expected_got("blalm bench", fmt::format("{}", fmt::join(names, ", ")), name,
                                 near.empty() ? "see --help" : "did you mean " + near + "?"));
}

}  // namespace

constinit const Command bench_command{"bench", "measure the speed of training and decoding", run};

}  // namespace blalm
