// blalm bench decode: the speed of generation against the position.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/bench/benches.h"
#include "apps/bench/command_line.h"
#include "apps/bench/decode_bench.h"
#include "apps/common/machine.h"
#include "apps/common/output.h"

namespace blalm {
namespace {

using namespace bench;

struct DecodeRequest {
  Workload workload;
  std::vector<std::string> positions = {"64", "256", "1024", "4096", "16384"};
  std::int64_t tokens = 16;

  Fields fields() {
    Fields f = workload.fields();
    f.add("positions", positions, "tokens that come before, as a list: 64,256,16k");
    f.add("tokens", tokens, "tokens decoded for a measurement").at_least(1).at_most(1e6);
    return f;
  }
};

// Numbers hold no commas: a list may be one text.
std::vector<std::string> separated(const std::vector<std::string>& lists) {
  std::vector<std::string> items;
  for (const std::string& list : lists) {
    std::istringstream in(list);
    for (std::string item; std::getline(in, item, ',');) items.push_back(item);
  }
  return items;
}

std::vector<std::int64_t> positions_of(const DecodeRequest& r) {
  std::vector<std::int64_t> positions;
  std::int64_t position = 0, before = 0;
  Fields f;
  f.add("positions", position, "").at_least(1).at_most(1 << 24);
  for (const std::string& text : separated(r.positions)) {
    f.set("positions", text);
    if (position <= before)
      throw ConfigError(expected_got("positions", "numbers that rise", fmt::format("{} after {}", position, before)));
    before = position;
    positions.push_back(position);
  }
  if (positions.empty()) throw ConfigError(expected_got("positions", "one number or more", "none"));
  return positions;
}

ExitCode run_bench_decode(int argc, char** argv) {
  DecodeRequest request;
  Workload& w = request.workload;
  w.batch = 1;
  const BenchPage page{{"bench decode", "",
                        "Decodes token by token after texts of several lengths: tokens/s against the position, and "
                        "against the time that reading the weights takes. Texts are read in parallel, a state a "
                        "position is kept, and the positions are measured in turns.",
                        "bench decode --preset mlstm --size base --precision bf16 --positions 64,16384"},
                       request.fields(),
                       w.model.fields()};
  const ParsedOptions parsed = parse(page, w, {argv + 1, argv + argc});
  if (parsed.help) return ExitCode::kDone;

  DecodeBench decode(w, positions_of(request), request.tokens);
  for (std::int64_t i = 0; i < w.warmup; ++i) decode.warm_up();
  for (std::int64_t i = 0; i < w.repeats; ++i) decode.measure();
  decode.measure_bandwidth();
  print_out("{}\n{}", machine_line(), decode.report());
  write_json(parsed, decode.json());
  expect_forced_kernels_ran(w.kernels);
  return ExitCode::kDone;
}

}  // namespace

constinit const Command bench_decode{"decode", "tokens/s of generation against the position and the memory's limit",
                                     run_bench_decode};

}  // namespace blalm
