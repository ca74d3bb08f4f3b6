#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/bench/kernel_bench.h"
#include "engine/core/parallel.h"
#include "engine/core/rng.h"
#include "optim/newton_schulz.h"
#include "optim/optimizer.h"

namespace blalm::bench {
namespace {

template <class F>
Spread repeated(const Workload& w, F&& f) {
  std::vector<double> seconds;
  for (std::int64_t i = -w.warmup; i < w.repeats; ++i) {
    const double s = seconds_of(f);
    if (i >= 0) seconds.push_back(s);
  }
  return spread(seconds);
}

// X Xᵀ, its square, and the product of both with X.
double newton_schulz_flops(std::int64_t rows, std::int64_t cols, std::int64_t steps) {
  const auto r = static_cast<double>(std::min(rows, cols)), c = static_cast<double>(std::max(rows, cols));
  return static_cast<double>(steps) * (4 * r * r * c + 2 * r * r * r);
}

Timing time_update(const Workload& w, OptimizerKind kind) {
  const auto model = make_model(w);
  const std::vector<Parameter*> parameters = model->parameters();
  std::int64_t numbers = 0;
  for (Parameter* p : parameters) {
    numbers += p->value.numel();
    p->grad = Tensor::full(p->value.shape(), 1e-3);
    p->has_grad = true;
  }
  OptimConfig config = w.optim;
  config.optimizer = kind;
  Optimizer optimizer(parameters, config);
  const bool adamw = kind == OptimizerKind::adamw;
  // AdamW: the gradient for its norm; parameter, gradient and two means read, three of them written.
  return {adamw ? "adamw" : "muon", fmt::format("{} parameters", numbers), repeated(w, [&] { optimizer.step(); }), 0,
          adamw ? 4.0 * 8 * static_cast<double>(numbers) : 0};
}

}  // namespace

std::vector<Timing> time_optimizer(const Workload& w) {
  const KernelChoice choice(w.kernels);
  std::vector<Timing> timings = {time_update(w, OptimizerKind::adamw), time_update(w, OptimizerKind::muon)};
  const LanguageModel model(w.model, {.values = Values::none});
  std::set<std::pair<std::int64_t, std::int64_t>> sizes;
  for (const ShapedParameter& p : model.shaped_parameters())
    if (p.parameter->role == Role::matrix && p.shape.rank() == 2) sizes.insert({p.shape.dim(0), p.shape.dim(1)});
  for (const auto& [rows, cols] : sizes) {
    const Tensor u = Tensor::empty({rows, cols});
    Rng(0).fill_normal(u, 0, 1);
    for (const DType operands : {DType::f32, DType::bf16})
      timings.push_back({fmt::format("newton_schulz {}", name_of(operands)), fmt::format("[{}, {}]", rows, cols),
                         repeated(w, [&, &u = u, steps = w.optim.ns_steps] { newton_schulz(u, steps, operands); }),
                         newton_schulz_flops(rows, cols, w.optim.ns_steps)});
  }
  return timings;
}

std::string table(const std::vector<Timing>& timings) {
  std::string text =
      fmt::format("{:<22}{:<24}{:>12}{:>24}{:>9}{:>8}\n", "optimizer", "size", "us", "min to max", "GF/s", "GB/s");
  const auto rate = [](double amount, double seconds) {
    return amount > 0 ? fmt::format("{:.1f}", amount / seconds / 1e9) : "";
  };
  for (const Timing& t : timings)
    text += fmt::format("{:<22}{:<24}{:>12.1f}{:>24}{:>9}{:>8}\n", t.name, t.size, 1e6 * t.seconds.median,
                        fmt::format("{:.1f} to {:.1f}", 1e6 * t.seconds.min, 1e6 * t.seconds.max),
                        rate(t.flops, t.seconds.median), rate(t.bytes, t.seconds.median));
  return text;
}

nlohmann::ordered_json to_json(const std::vector<Timing>& timings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Timing& t : timings)
    list.push_back({{"name", t.name},
                    {"size", t.size},
                    {"seconds", t.seconds.median},
                    {"seconds_range", {t.seconds.min, t.seconds.max}},
                    {"gflops_per_second", t.flops / t.seconds.median / 1e9},
                    {"gbytes_per_second", t.bytes / t.seconds.median / 1e9}});
  return list;
}

}  // namespace blalm::bench
