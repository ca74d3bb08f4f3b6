#include "apps/bench/step_bench.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/bench/measure.h"
#include "apps/common/machine.h"
#include "engine/core/parallel.h"
#include "engine/core/pool.h"
#include "engine/inspect/table.h"

namespace blalm::bench {
namespace {

std::int64_t system_allocations() { return Pool::instance().stats().system_allocations; }

}  // namespace

StepBench::StepBench(const Workload& w) : workload_(w), batches_(random_batches(w)) {
  set_num_threads(static_cast<int>(w.threads));
  model_ = make_model(w);
  const std::vector<Parameter*> parameters = model_->parameters();
  for (const Parameter* p : parameters) parameters_ += p->value.numel();
  optimizer_ = std::make_unique<Optimizer>(parameters, w.optim);
}

StepBench::Sample StepBench::run() {
  set_num_threads(static_cast<int>(workload_.threads));
  const KernelChoice choice(workload_.kernels);
  Sample s;
  double looking = 0;  // at the tapes: no part of a step
  s.seconds = seconds_of([&] {
    optimizer_->zero_grad();
    loss_ = add_gradients(*model_, tape_, batches_, &s.passes,
                          [&](const Tape& tape) { looking += seconds_of([&] { s.ops.add(tape); }); });
    s.optimizer_seconds = seconds_of([&] { optimizer_->step(); });
  });
  s.seconds -= looking;
  if (!floor_) peak_rss_bytes_ = blalm::peak_rss_bytes();
  return s;
}

void StepBench::warm_up() { run(); }

void StepBench::step() {
  const std::int64_t before = system_allocations();
  samples_.push_back(run());
  seconds_.push_back(samples_.back().seconds);
  allocations_ += system_allocations() - before;
}

void StepBench::run_floor() {
  set_num_threads(static_cast<int>(workload_.threads));
  if (!floor_) floor_ = std::make_unique<MatmulFloor>(step_products(*model_, workload_));
  floor_->run();
}

bool StepBench::has_floor() const { return floor_ && floor_->available(); }

const StepBench::Sample& StepBench::median() const { return samples_[median_index(seconds_)]; }
double StepBench::tokens_per_second() const { return static_cast<double>(workload_.tokens()) / median().seconds; }
double StepBench::tflops() const { return 6e-12 * static_cast<double>(parameters_) * tokens_per_second(); }

std::string StepBench::phase(const char* name, double seconds) const {
  return fmt::format("  {:<12}{:>10.4f} s{:>7.1f}%\n", name, seconds, 100 * seconds / median().seconds);
}

std::string StepBench::report() const {
  const Workload& w = workload_;
  const Sample& s = median();
  const Spread all = spread(seconds_);
  const double tokens = static_cast<double>(w.tokens());
  std::string text = fmt::format("{}, {} x {} tokens a step{}{}, {}\n", title(w, parameters_), w.batch, w.seq,
                                 w.micro_batch < w.batch ? fmt::format(" in micro-batches of {}", w.micro_batch) : "",
                                 w.recompute ? ", layers computed again" : "", w.optimizer_name());
  text += fmt::format("tokens/s      {:>10.0f}    {:.0f} to {:.0f} over {} steps\n", tokens / s.seconds,
                      tokens / all.max, tokens / all.min, samples_.size());
  text += fmt::format("TFLOP/s       {:>10.3f}    6 x parameters x tokens\n", tflops());
  text += fmt::format("step          {:>10.4f} s  {:.4f} to {:.4f}\n", s.seconds, all.min, all.max);
  text += phase("forward", s.passes.forward) + phase("backward", s.passes.backward) +
          phase("optimizer", s.optimizer_seconds);
  if (has_floor())
    text += fmt::format(
        "matmul floor  {:>10.4f} s  floor/step {:.2f}; {:.0f} GF/s: the products of the model's linear "
        "layers alone, by oneDNN at its best\n",
        floor_->seconds(), floor_->seconds() / s.seconds, floor_->flops() / floor_->seconds() / 1e9);
  else
    text += fmt::format("matmul floor           -    not measured: {}\n",
                        kernels::onednn::best_matmul_unavailable(precision_of(w.precision).operand));
  text += fmt::format("peak memory   {:>10}\n", inspect::human_bytes(peak_rss_bytes_));
  text += fmt::format("allocations   {:>10}    of the pool after warm-up\n\n", allocations_);
  text += table(s.ops.sorted(), s.seconds);
  const double outside = s.passes.forward + s.passes.backward - s.ops.seconds();
  return text + fmt::format("{:<52}{:>12.2f}{:>22}{:>7.1f}%\n{:<52}{:>12.2f}{:>22}{:>7.1f}%\n", "(optimizer)",
                            1e3 * s.optimizer_seconds, "", 100 * s.optimizer_seconds / s.seconds,
                            "(between operations)", 1e3 * outside, "", 100 * outside / s.seconds);
}

nlohmann::ordered_json StepBench::json() const {
  const Workload& w = workload_;
  const Sample& s = median();
  const nlohmann::ordered_json none;
  return {{"preset", w.preset},
          {"size", w.size},
          {"params", parameters_},
          {"threads", w.threads},
          {"precision", name_of(w.precision)},
          {"batch", w.batch},
          {"seq", w.seq},
          {"micro_batch", w.micro_batch},
          {"recompute", w.recompute},
          {"vocab", w.vocab},
          {"optimizer", w.optimizer_name()},
          {"tokens_per_second", tokens_per_second()},
          {"tflops_per_second", tflops()},
          {"step_seconds", s.seconds},
          {"forward_seconds", s.passes.forward},
          {"backward_seconds", s.passes.backward},
          {"optimizer_seconds", s.optimizer_seconds},
          {"step_seconds_all", seconds_},
          {"matmul_floor_seconds", has_floor() ? nlohmann::ordered_json(floor_->seconds()) : none},
          {"floor_over_step", has_floor() ? nlohmann::ordered_json(floor_->seconds() / s.seconds) : none},
          {"floor_products", has_floor() ? to_json(floor_->products()) : none},
          {"peak_rss_bytes", peak_rss_bytes_},
          {"allocations_after_warmup", allocations_},
          {"loss", loss_},
          {"ops", to_json(s.ops.sorted(), s.seconds)},
          {"machine", machine_json()}};
}

}  // namespace blalm::bench
