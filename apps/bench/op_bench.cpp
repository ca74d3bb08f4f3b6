#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/bench/kernel_bench.h"
#include "apps/common/gradients.h"
#include "engine/core/parallel.h"

namespace blalm::bench {
namespace {

// "[8, 512, 384] [1024, 384]"
std::string shapes(const Node& node) {
  std::string text;
  for (const NodeInput& in : node.inputs) {
    if (!in.given) continue;
    if (!text.empty()) text += ' ';
    text += in.shape.str();
  }
  return text;
}

double rate(double amount, const Spread& forward, const Spread& backward) {
  const double seconds = forward.median + backward.median;
  return seconds > 0 ? amount / seconds / 1e9 : 0;
}

}  // namespace

OpBench::OpBench(const Workload& w) : workload_(w) {
  set_num_threads(static_cast<int>(w.threads));
  workload_.model.num_hidden_layers = 1;
  model_ = make_model(workload_);
  batches_ = random_batches(workload_);
}

void OpBench::run(bool counts) {
  const KernelChoice choice(workload_.kernels);
  for (Parameter* p : model_->parameters()) p->zero_grad();
  add_gradients(*model_, tape_, batches_, nullptr, [&](const Tape& tape) {
    if (counts) add(tape);
  });
}

void OpBench::add(const Tape& tape) {
  for (const Node& node : tape.nodes()) {
    if (node.implementation == "view") continue;
    const Key key{std::string(node.op), shapes(node), std::string(node.implementation)};
    const auto [at, fresh] = index_.emplace(key, rows_.size());
    if (fresh) rows_.push_back({key, cost_of(tape, node)});
    rows_[at->second].forward.push_back(node.forward_seconds);
    rows_[at->second].backward.push_back(node.backward_seconds);
  }
}

std::string OpBench::report() const {
  std::string text = fmt::format("{:<22}{:<24}{:>12}{:>13}{:>9}{:>8}  {}\n", "op", "kernel", "forward us",
                                 "backward us", "GF/s", "GB/s", "inputs");
  for (const Row& r : rows_) {
    const auto& [op, inputs, kernel] = r.key;
    const Spread forward = spread(r.forward), backward = spread(r.backward);
    text += fmt::format("{:<22}{:<24}{:>12.1f}{:>13.1f}{:>9}{:>8.1f}  {}\n", op, kernel, 1e6 * forward.median,
                        1e6 * backward.median,
                        r.once.flops > 0 ? fmt::format("{:.0f}", rate(r.once.flops, forward, backward)) : "",
                        rate(r.once.bytes, forward, backward), inputs);
  }
  return text;
}

nlohmann::ordered_json OpBench::json() const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Row& r : rows_) {
    const auto& [op, inputs, kernel] = r.key;
    const Spread forward = spread(r.forward), backward = spread(r.backward);
    list.push_back({{"op", op},
                    {"kernel", kernel},
                    {"inputs", inputs},
                    {"forward_seconds", forward.median},
                    {"forward_seconds_range", {forward.min, forward.max}},
                    {"backward_seconds", backward.median},
                    {"backward_seconds_range", {backward.min, backward.max}},
                    {"gflops_per_second", rate(r.once.flops, forward, backward)},
                    {"gbytes_per_second", rate(r.once.bytes, forward, backward)}});
  }
  return list;
}

}  // namespace blalm::bench
