// blalm bench step: the speed of training, alone or side by side with other settings or with another program.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "apps/bench/benches.h"
#include "apps/bench/command_line.h"
#include "apps/bench/measure.h"
#include "apps/bench/peer.h"
#include "apps/bench/step_bench.h"
#include "apps/common/machine.h"
#include "apps/common/output.h"

namespace blalm {
namespace {

using namespace bench;
using Arguments = std::vector<std::string>;

const HelpPage kPage{
    "bench step", "",
    "Runs training steps on random tokens: speed, time by phase and by operation, the matmul floor (what the products "
    "of the linear layers take alone), memory.",
    "bench step --preset mlstm --size base --batch 8 --seq 512 --precision bf16 --json step.json\n"
    "example: blalm bench step --size base --against \"--precision f32\" --against \"--precision f32 --composed\""};

ParsedOptions parse_step(Workload& w, Arguments arguments) {
  BenchPage page{
      kPage, w.fields(), w.model.fields(), [](cxxopts::Options& options) {
        options.add_options()("recompute", "keep only the layers' inputs for backward")(
            "against",
            "a second step with these options on top, run in turns with the first; may be given several times",
            cxxopts::value<std::string>(), "'OPTIONS'")(
            "peer", "a command that does the same and prints tok/s=NUMBER, run in turns with the step",
            cxxopts::value<std::string>(), "'COMMAND'");
      }};
  page.fields.append(w.sequence_fields());
  page.fields.append(w.training_fields());
  page.settings.append(w.optimizer_settings());
  ParsedOptions parsed = parse(page, w, std::move(arguments));
  w.recompute = parsed.has("recompute");
  return parsed;
}

// The same command line with more options at its end, of which the last ones count.
Workload variant(Arguments arguments, const std::string& more) {
  const std::size_t before = arguments.size();
  std::istringstream words(more);
  for (std::string word; words >> word;) {
    // What says how to measure holds for all steps.
    for (const char* of_all : {"--help", "-h", "--against", "--peer", "--json", "--repeats", "--warmup"})
      if (word == of_all || word.starts_with(std::string(of_all) + "="))
        throw ConfigError(expected_got("--against", "options of one step", word));
    arguments.push_back(word);
  }
  if (arguments.size() == before) throw ConfigError(expected_got("--against", "options of one step", "none"));
  Workload w;
  parse_step(w, std::move(arguments));
  return w;
}

// Steps in turns: what else the machine does meanwhile meets all of them. Where there is more than one, or a peer, each
// has a step that does not count before the one that does, to find caches and threads as it left them.
void run_in_turns(std::vector<std::unique_ptr<StepBench>>& steps, std::optional<Peer>& peer, const Workload& w) {
  const bool alone = steps.size() == 1 && !peer;
  for (const auto& s : steps)
    for (std::int64_t i = 0; i < w.warmup; ++i) s->warm_up();
  for (std::int64_t i = 0; i < w.repeats; ++i) {
    for (const auto& s : steps) {
      if (!alone) s->warm_up();
      s->step();
      s->run_floor();
    }
    if (peer) peer->run();
  }
}

void print(const std::vector<std::unique_ptr<StepBench>>& steps, const Arguments& against,
           const std::optional<Peer>& peer) {
  const double first = steps[0]->tokens_per_second();
  print_out("{}\n{}", machine_line(), steps[0]->report());
  for (std::size_t i = 1; i < steps.size(); ++i) print_out("\n{}", steps[i]->report());
  for (std::size_t i = 1; i < steps.size(); ++i)
    print_out("\ntokens/s over {}: {:.3f}", against[i - 1], first / steps[i]->tokens_per_second());
  if (steps.size() > 1) print_out("\n(peak memory and allocations are those of all of them)\n");
  if (!peer) return;
  const Spread s = spread(peer->tokens_per_second());
  print_out("\npeer: {}\n  tokens/s {:.0f}, {:.0f} to {:.0f} over {} runs\ntokens/s over the peer: {:.2f}\n",
            peer->command(), s.median, s.min, s.max, peer->tokens_per_second().size(), first / s.median);
}

nlohmann::ordered_json json_of(const std::vector<std::unique_ptr<StepBench>>& steps, const Arguments& against,
                               const std::optional<Peer>& peer) {
  const double first = steps[0]->tokens_per_second();
  nlohmann::ordered_json json = steps[0]->json();
  for (std::size_t i = 1; i < steps.size(); ++i)
    json["against"].push_back({{"options", against[i - 1]},
                               {"tokens_per_second_over_it", first / steps[i]->tokens_per_second()},
                               {"step", steps[i]->json()}});
  if (!peer) return json;
  json["peer"] = {{"command", peer->command()},
                  {"tokens_per_second_all", peer->tokens_per_second()},
                  {"tokens_per_second_over_it", first / spread(peer->tokens_per_second()).median}};
  return json;
}

ExitCode run_bench_step(int argc, char** argv) {
  const Arguments arguments(argv + 1, argv + argc);
  Workload workload;
  const ParsedOptions parsed = parse_step(workload, arguments);
  if (parsed.help) return ExitCode::kDone;
  const Arguments against = parsed.texts("against");
  std::vector<Workload> workloads = {workload};
  for (const std::string& more : against) workloads.push_back(variant(arguments, more));
  std::optional<Peer> peer;
  if (parsed.has("peer")) peer.emplace(parsed.text("peer"));

  std::vector<std::unique_ptr<StepBench>> steps;
  for (const Workload& w : workloads) steps.push_back(std::make_unique<StepBench>(w));
  run_in_turns(steps, peer, workload);
  print(steps, against, peer);
  write_json(parsed, json_of(steps, against, peer));
  for (const Workload& each : workloads) expect_forced_kernels_ran(each.kernels);
  return ExitCode::kDone;
}

}  // namespace

constinit const Command bench_step{"step", "a training step: tokens/s, phases, operations, matmul floor, memory", run_bench_step};

}  // namespace blalm
