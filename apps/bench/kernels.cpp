// blalm bench kernels: the speed of single calculations.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/bench/benches.h"
#include "apps/bench/command_line.h"
#include "apps/bench/kernel_bench.h"
#include "apps/common/machine.h"
#include "apps/common/output.h"

namespace blalm {
namespace {

using namespace bench;

ExitCode run_bench_kernels(int argc, char** argv) {
  Workload w;
  w.preset = "full";
  BenchPage page{
      {"bench kernels", "",
       "Times the operations of a training step one by one, at the sizes of a model with one layer, then the "
       "optimizer's updates, then every implementation of linear layers and of the matrix product on the step's "
       "products.",
       "bench kernels --preset full --size small --batch 8 --seq 512 --precision bf16"},
      w.fields(),
      w.model.fields()};
  page.fields.append(w.sequence_fields());
  page.settings.append(w.optimizer_settings());
  const ParsedOptions parsed = parse(page, w, {argv + 1, argv + argc});
  if (parsed.help) return ExitCode::kDone;
  w.micro_batch = w.batch;  // what is asked for is computed at once

  OpBench ops(w);
  for (std::int64_t i = -w.warmup; i < w.repeats; ++i) ops.run(i >= 0);
  print_out("{}\n{} {}, one layer, {}, {} x {} tokens, medians of {}\n\n{}\n", machine_line(), w.preset, w.size, how(w),
            w.batch, w.seq, w.repeats, ops.report());
  const std::vector<Timing> optimizer = time_optimizer(w);
  print_out("{}\n", table(optimizer));
  const std::vector<MatmulTiming> matmuls = time_matmuls(w);
  print_out("{}", table(matmuls));
  write_json(parsed, {{"preset", w.preset},
                      {"size", w.size},
                      {"threads", w.threads},
                      {"precision", name_of(w.precision)},
                      {"batch", w.batch},
                      {"seq", w.seq},
                      {"ops", ops.json()},
                      {"optimizer", to_json(optimizer)},
                      {"matmul", to_json(matmuls)},
                      {"machine", machine_json()}});
  expect_forced_kernels_ran(w.kernels);
  return ExitCode::kDone;
}

}  // namespace

constinit const Command bench_kernels{"kernels", "single operations, the optimizer, every matrix product", run_bench_kernels};

}  // namespace blalm
