// blalm bench step: the speed of training.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "blalm/apps/bench/benches.h"
#include "blalm/apps/bench/machine.h"
#include "blalm/apps/bench/step_bench.h"
#include "blalm/io/atomic_file.h"

namespace blalm {
namespace {

using bench::StepBench;
using bench::Workload;

Fields fields_of(Workload& w) {
  Fields f = w.fields();
  f.append(w.step_fields());
  return f;
}

ExitCode run(int argc, char** argv) {
  Workload workload;
  HelpPage page{
      "bench step", "",
      "Runs training steps on random tokens: speed, time by phase and by operation, the matmul floor (what the "
      "products of the linear layers take alone), memory.",
      "bench step --preset mlstm --size base --batch 8 --seq 512 --precision bf16 --json step.json"};
  page.settings = "Settings of model and optimizer:\n" + fields_help(workload.settings());
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::vector<Setting> settings = take_flags(arguments, workload.settings());
  cxxopts::Options options = make_options(page);
  add_field_options(options, fields_of(workload));
  options.add_options()("recompute", "keep only the layers' inputs for backward")(
      "json", "FILE to write all figures to", cxxopts::value<std::string>());
  add_kernel_options(options);
  const ParsedOptions parsed = parse_options(options, page, std::move(arguments));
  if (parsed.help) return ExitCode::kDone;
  refuse_positional(parsed, page);
  set_fields(parsed, fields_of(workload));
  workload.recompute = parsed.has("recompute");
  workload.resolve(settings);
  const std::string json = parsed.has("json") ? parsed.text("json") : "";

  const KernelChoice choice(kernel_policy_from(parsed));
  StepBench step(workload);
  for (std::int64_t i = 0; i < workload.warmup; ++i) step.warm_up();
  for (std::int64_t i = 0; i < workload.repeats; ++i) step.step();
  step.measure_floor();
  fmt::print("{}\n{}", bench::machine_line(), step.report());
  if (!json.empty()) write_file_atomically(json, step.json().dump(2) + "\n");
  return ExitCode::kDone;
}

}  // namespace

constinit const Command bench_step{"step", "a training step: tokens/s, phases, operations, matmul floor, memory", run};

}  // namespace blalm
