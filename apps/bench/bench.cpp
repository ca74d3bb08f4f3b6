// blalm bench WHAT: finds what to measure and lets it run; a training step when nothing is named.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "apps/bench/benches.h"
#include "apps/common/output.h"
#include "engine/core/error.h"
#include "engine/core/fields.h"

namespace blalm {
namespace {

const std::vector<Command>& benches() {
  static const std::vector<Command> list = {bench_step, bench_decode, bench_kernels};
  return list;
}

// One command for each figure of docs/performance.md. A ratio comes from runs in turns: tokens/s of the first over
// those of the other.
struct Figure {
  const char *what, *command;
};
#define BLALM_PEER(OPTIONS) " --peer \"python3 ../shared/reference/bench_torch.py " OPTIONS "\""
constexpr Figure kFigures[] = {
    {"small mlstm over PyTorch, eager",
     "step --preset mlstm --size small --batch 4 --seq 512 --precision bf16 --repeats 5"  //
     BLALM_PEER("--preset mlstm --size small --batch 4 --seq 512 --threads 2")},
    {"small transformer over PyTorch, eager",
     "step --preset transformer --size small --batch 4 --seq 512 --precision bf16 --repeats 5"  //
     BLALM_PEER("--preset transformer --size small --batch 4 --seq 512 --threads 2")},
    {"small full over PyTorch, eager",
     "step --preset full --size small --batch 4 --seq 512 --precision bf16 --repeats 5"  //
     BLALM_PEER("--preset full --size small --batch 4 --seq 512 --threads 2")},
    {"base mlstm over PyTorch, compiled, 16 cores",
     "step --preset mlstm --size base --batch 16 --seq 512 --precision bf16 --threads 16 --repeats 5"  //
     BLALM_PEER("--preset mlstm --size base --batch 16 --seq 512 --threads 16 --compile")},
    {"base mlstm over PyTorch, eager, 16 cores",
     "step --preset mlstm --size base --batch 16 --seq 512 --precision bf16 --threads 16 --repeats 5"  //
     BLALM_PEER("--preset mlstm --size base --batch 16 --seq 512 --threads 16")},
    {"floor/step, and allocations after warm-up",
     "step --preset mlstm --size base --batch 8 --seq 512 --precision bf16 --repeats 5"},
    {"bf16 over f32",
     "step --preset mlstm --size base --batch 8 --seq 512 --precision bf16 --repeats 5 --against \"--precision f32\""},
    {"T = 8192 over T = 512, mlstm",
     "step --preset mlstm --size base --batch 1 --seq 8192 --precision bf16 --repeats 5 --against \"--batch 16 --seq "
     "512\""},
    {"T = 8192 over T = 512, swa",
     "step --preset swa --size base --batch 1 --seq 8192 --precision bf16 --repeats 5 --against \"--batch 16 --seq "
     "512\""},
    {"peak memory",
     "step --preset mlstm --size base --batch 16 --seq 512 --precision bf16 --optimizer adamw --repeats 5"},
    {"peak memory of as many tokens at T = 8192",
     "step --preset mlstm --size base --batch 1 --seq 8192 --precision bf16 --optimizer adamw --repeats 5"},
    {"decoding at 16384 over 64, and against the memory's limit",
     "decode --preset mlstm --size base --precision bf16 --batch 1 --positions 64,16384"},
    {"16 cores over 1",
     "step --preset mlstm --size base --batch 16 --seq 512 --precision bf16 --threads 16 --repeats 5 --against "
     "\"--threads 1\""},
    {"Muon over AdamW, 32k tokens",
     "step --preset mlstm --size base --batch 64 --seq 512 --precision bf16 --optimizer muon "
     "--repeats 5 --against \"--optimizer adamw\""},
};
#undef BLALM_PEER

void print_help() {
  print_out(
      "Measures speed on this machine.\n\nUsage:\n  blalm bench [WHAT] [OPTIONS]\n\nWithout WHAT, a training "
      "step.\n\n");
  for (const Command& b : benches()) print_out("  {:<10} {}\n", b.name, b.summary);
  print_out("\n'blalm bench WHAT --help' gives its options. The figures of docs/performance.md:\n");
  for (const Figure& f : kFigures) print_out("\n  {}:\n    blalm bench {}\n", f.what, f.command);
  print_out("\nexample: blalm bench step --preset mlstm --size small --batch 4 --precision bf16\n");
}

ExitCode run_bench(int argc, char** argv) {
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

constinit const Command bench_command{"bench", "measure the speed of training and decoding", run_bench};

}  // namespace blalm
