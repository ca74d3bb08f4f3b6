// blalm bench: that it measures what it says, in figures that fit together. How large they are is not tested.
#include "apps/bench/measure.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <regex>

#include "apps/bench/decode_bench.h"
#include "apps/bench/matmul_floor.h"
#include "tests/apps/support.h"

namespace blalm {
namespace {

using nlohmann::json;
using testing::contains;
using testing::Folder;
using testing::Outcome;
using testing::run_blalm;

const std::string kTiny = " --size nano --vocab 300 --batch 2 --repeats 2 --warmup 2 --precision f32";

// The figures that a benchmark writes with --json.
json figures(const std::string& arguments) {
  const Folder folder;
  const Outcome o = run_blalm("bench " + arguments + " --json " + folder / "x.json");
  INFO(arguments);
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  return json::parse(testing::read_text(folder.path / "x.json"));
}

bench::Workload workload(const std::string& preset) {
  bench::Workload w;
  w.preset = preset;
  w.size = "nano";
  w.vocab = 300;
  w.batch = 4;
  w.seq = 16;
  w.micro_batch = 2;
  w.precision = PrecisionChoice::f32;
  w.resolve({}, w.model.fields());
  return w;
}

LanguageModel tree(const bench::Workload& w) { return LanguageModel(w.model, {.values = Values::none}); }

std::int64_t parameters_of(const LanguageModel& model) {
  std::int64_t parameters = 0;
  for (const ShapedParameter& p : model.shaped_parameters()) parameters += p.shape.numel();
  return parameters;
}

}  // namespace

TEST_CASE("bench step writes figures that fit together") {
  const json j = figures("step --preset full --seq 32 --threads 2" + kTiny);
  for (const char* key : {"preset", "size", "params", "threads", "precision", "batch", "seq", "tokens_per_second",
                          "step_seconds", "forward_seconds", "backward_seconds", "optimizer_seconds",
                          "matmul_floor_seconds", "peak_rss_bytes", "allocations_after_warmup", "ops"})
    CHECK_MESSAGE(j.contains(key), key);
  CHECK(j["preset"] == "full");
  CHECK(j["size"] == "nano");
  CHECK(j["precision"] == "f32");
  CHECK(j["batch"] == 2);
  CHECK(j["seq"] == 32);
  const std::int64_t parameters = parameters_of(tree(workload("full")));
  CHECK(j["params"] == parameters);
  CHECK(j["allocations_after_warmup"] == 0);
  CHECK(j["peak_rss_bytes"] > 16 * parameters);  // weights, gradients and AdamW's two means
  const double step = j["step_seconds"];
  CHECK(j["tokens_per_second"].get<double>() == doctest::Approx(64 / step));
  CHECK(j["step_seconds_all"].size() == 2);
  const double phases =
      j["forward_seconds"].get<double>() + j["backward_seconds"].get<double>() + j["optimizer_seconds"].get<double>();
  CHECK(phases > 0);
  CHECK(phases <= step * 1.001);

  double share = 0, last = 1;
  for (const json& op : j["ops"]) {
    CHECK(op["calls"] >= 1);
    CHECK(op["bytes"] >= 0);
    CHECK(op["share"] <= last);  // sorted
    last = op["share"];
    share += last;
  }
  CHECK(share > 0);
  CHECK(share <= 1.001);
  const auto ran = [&](const char* name) {
    return std::ranges::any_of(j["ops"], [&](const json& op) { return op["op"] == name; });
  };
  CHECK(ran("mlstm"));
  CHECK(ran("attention"));
  CHECK(ran("embedding"));

  if (j["machine"]["onednn"].is_null()) {
    CHECK(j["matmul_floor_seconds"].is_null());
  } else {
    CHECK(j["matmul_floor_seconds"] > 0);
    double sum = 0;
    for (const json& p : j["floor_products"]) sum += p["count"].get<double>() * p["seconds"].get<double>();
    CHECK(j["matmul_floor_seconds"].get<double>() == doctest::Approx(sum));
  }
}

TEST_CASE("bench prints a table, and a training step is what it measures when nothing is named") {
  const Outcome o = run_blalm("bench --seq 16 --optimizer muon --recompute --micro-batch 1 --threads 1" + kTiny);
  CHECK(o.exit_code == 0);
  for (const char* words :
       {"tokens/s", "TFLOP/s", "forward", "backward", "optimizer", "matmul floor", "peak memory", "allocations", "GF/s",
        "recompute", "linear_cross_entropy", "micro-batches of 1", "muon", "1 thread,", "(between operations)"})
    CHECK_MESSAGE(contains(o, words), o.output);
}

TEST_CASE("the products of a step are three for each weight of a linear layer and for the head") {
  for (const std::string preset : {"transformer", "mlstm", "full"}) {
    const bench::Workload w = workload(preset);
    const LanguageModel model = tree(w);
    double flops = 0, weights = 0;
    for (const bench::StepProduct& p : bench::step_products(model, w)) {
      CHECK(p.shape.rows == w.micro_batch * w.seq);
      flops += static_cast<double>(p.count) * p.shape.flops();
    }
    for (const ShapedParameter& p : model.shaped_parameters())
      if (p.shape.rank() == 2 && (contains(p.parameter->name, "proj.") || contains(p.parameter->name, "gate.") ||
                                  contains(p.parameter->name, "embed_tokens")))
        weights += static_cast<double>(p.shape.numel());
    INFO(preset);
    CHECK(flops == doctest::Approx(6 * weights * static_cast<double>(w.tokens())));
  }
}

TEST_CASE("weights that decoding reads: matrices in the operands' dtype, and of two embeddings the head") {
  bench::Workload w = workload("mlstm");
  const std::int64_t tied = bench::weight_bytes(tree(w));
  w.model.tie_word_embeddings = false;
  CHECK(bench::weight_bytes(tree(w)) == tied);
  CHECK(tied == 4 * parameters_of(tree(workload("mlstm"))));
  LanguageModel model = tree(workload("mlstm"));
  model.run.precision = Precision::bf16();
  CHECK(bench::weight_bytes(model) < tied * 51 / 100);
  CHECK(bench::weight_bytes(model) > tied / 2);
}

TEST_CASE("bench step --against and --peer give ratios of steps in turns") {
  const json j = figures(
      "step --seq 16 --against '--batch 1 --seq 32' --against='--threads 1' --against '--optim.optimizer muon' --peer "
      "'echo tok/s=12.5 x'" +
      kTiny);
  REQUIRE(j["against"].size() == 3);
  const json& other = j["against"][0]["step"];
  CHECK(other["batch"] == 1);
  CHECK(other["seq"] == 32);
  CHECK(other["preset"] == j["preset"]);
  CHECK(j["against"][1]["step"]["threads"] == 1);
  CHECK(j["against"][0]["tokens_per_second_over_it"].get<double>() ==
        doctest::Approx(j["tokens_per_second"].get<double>() / other["tokens_per_second"].get<double>()));
  CHECK(j["peer"]["tokens_per_second_all"] == json({12.5, 12.5}));
  CHECK(j["peer"]["tokens_per_second_over_it"].get<double>() ==
        doctest::Approx(j["tokens_per_second"].get<double>() / 12.5));
}

TEST_CASE("bench decode gives each position's speed, and the state's size stays for the mLSTM alone") {
  for (const std::string preset : {"mlstm", "transformer"}) {
    const json j = figures("decode --positions 3,40,600 --tokens 2 --preset " + preset + kTiny);
    REQUIRE(j["positions"].size() == 3);
    CHECK(j["positions"][2]["position"] == 600);
    for (const json& p : j["positions"]) {
      CHECK(p["tokens_per_second"].get<double>() == doctest::Approx(2 / p["step_seconds"].get<double>()));
      CHECK(p["share_of_limit"].get<double>() ==
            doctest::Approx(p["tokens_per_second"].get<double>() / j["limit_tokens_per_second"].get<double>()));
      CHECK(p["step_seconds_all"].size() == 2);
    }
    CHECK((j["positions"][0]["state_bytes"] == j["positions"][2]["state_bytes"]) == (preset == "mlstm"));
    CHECK(j["read_bandwidth"] > 0);
    CHECK(j["weight_bytes"] > 0);
  }
}

TEST_CASE("bench kernels times operations, the optimizer and every matrix product") {
  const json j = figures("kernels --seq 16" + kTiny);
  std::string names;
  for (const json& op : j["ops"]) names += op["op"].get<std::string>() + ' ';
  for (const char* op :
       {"rms_norm", "mlstm", "attention", "short_conv", "head_norm", "hedgehog", "linear_cross_entropy"})
    CHECK_MESSAGE(contains(names, op), names);
  for (const json& o : j["optimizer"]) CHECK(o["seconds"] > 0);
  REQUIRE(j["matmul"].size() > 3);
  for (const json& m : j["matmul"]) {
    CHECK(m["implementations"].contains("packed"));
    CHECK(m["implementations"]["reference"]["seconds"] > 0);
    if (m["implementations"].contains("onednn:bf16")) CHECK(m["implementations"]["onednn:bf16"].contains("declines"));
  }
  CHECK(contains(run_blalm("bench kernels --seq 16 --preset mlstm" + kTiny), "newton_schulz bf16"));
}

TEST_SUITE("slow") {
  TEST_CASE("every command that bench --help shows runs") {
    const std::string help = run_blalm("bench --help").output;
    const std::regex command("\n    blalm (bench [^\n]*)"), peer(" --peer \"[^\"]*\""), seq(" --seq \\d+");
    int commands = 0;
    for (std::sregex_iterator it(help.begin(), help.end(), command), end; it != end; ++it, ++commands) {
      std::string line = std::regex_replace((*it)[1].str(), peer, "");
      const bool decode = contains(line, "bench decode");
      if (!decode) line = std::regex_replace(line, seq, " --seq 16");
      const Outcome o = run_blalm(line + (decode ? " --positions 3,5" : "") +
                                  " --size nano --vocab 50 --repeats 1 --warmup 0 --model.num_hidden_layers 1");
      CHECK_MESSAGE(o.exit_code == 0, line << "\n" << o.output);
    }
    CHECK(commands == 14);
  }
}

TEST_CASE("bench says what is wrong") {
  const Folder folder;
  for (const auto& [arguments, code, words] :
       {std::tuple<std::string, int, std::string>{"stp", 2, "did you mean step?"},
        {"step fast", 2, "options only, got fast"},
        {"--precison f32", 2, "did you mean --precision?"},
        {"step --precision f16", 2, "auto, f32, bf16"},
        {"step --size huge", 2, "nano, tiny, small, base"},
        {"step --preset swa-dynmode", 2, "did you mean swa-dynmod?"},
        {"step --optimizer sgd", 2, "adamw, muon"},
        {"step --batch 3 --micro-batch 2", 2, "a divisor of the batch of 3"},
        {"step --repeats 0", 2, "[repeats]"},
        {"step --seq 0", 2, "[seq]"},
        {"step --model.hiden_size 3", 2, "did you mean model.hidden_size?"},
        {"step --json=", 2, "--json"},
        {"step --against '--precison f32'", 2, "did you mean --precision?"},
        {"step --against '--against x'", 2, "options of one step"},
        {"step --against '--repeats 9'", 2, "[--against] expected options of one step, got --repeats"},
        {"step --against --json=x", 2, "options of one step, got --json=x"},
        {"step --against ' '", 2, "options of one step, got none"},
        {"step --batch 1000000 --seq 16777216", 2, "[batch] expected at most 67108864 tokens a step, got 1000000 x "},
        {"step --optim.schedule wsd", 2, "optim.schedule"},
        {"step --json /", 3, "[--json] expected a file to write, got /, a folder"},
        {"step --kernel matmul=cuda" + kTiny, 2, "got cuda"},
        {"step --seq 8 --peer 'echo fast'" + kTiny, 3, "tok/s=NUMBER"},
        {"step --seq 8 --peer 'echo tok/s=3; exit 4'" + kTiny, 3, "a command that failed"},
        {"step --seq 8 --peer 'echo tok/s=inf'" + kTiny, 3, "tok/s=NUMBER"},
        {"step --seq 8 --json " + folder / "none/x.json" + kTiny, 3, "none/x.json"},
        {"step --seq 100000 --json " + folder / "none/x.json", 3,
         "none/x.json', got 'No such file or directory'"},  // before any work
        {"decode --positions 5,3", 2, "numbers that rise, got 3 after 5"},
        {"decode --positions ,", 2, "[positions]"},
        {"decode --positions 0", 2, "[positions]"},
        {"decode --optim.lr 1", 2, "a known key"},
        {"kernels --micro-batch 1", 2, "a known option"}}) {
    const Outcome o = run_blalm("bench " + arguments, testing::kStandardError);
    const std::string shown = arguments;  // clang++ 14 captures no structured binding
    CAPTURE(shown);
    CHECK_MESSAGE(o.exit_code == code, o.output);
    CHECK_MESSAGE(contains(o, words), o.output);
    CHECK(std::count(o.output.begin(), o.output.end(), '\n') == 1);
  }
}

TEST_CASE("the median is one of the samples") {
  const double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
  CHECK(bench::median_index(odd) == 2);
  CHECK(bench::median_index(even) == 3);
  CHECK(bench::spread(one).median == 7);
  const bench::Spread s = bench::spread(even);
  CHECK(s.min == 1);
  CHECK(s.max == 4);
}

}  // namespace blalm
