#include <fmt/format.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "apps/bench/kernel_bench.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/core/rng.h"
#include "engine/kernels/linear.h"
#include "engine/kernels/matmul.h"

namespace blalm::bench {
namespace {

using kernels::onednn::LinearProduct;

// Above this many operations the reference would take seconds.
constexpr double kReferenceLimit = 2e9;

Tensor random(std::int64_t rows, std::int64_t cols, DType dtype) {
  const Tensor t = Tensor::empty({rows, cols}, dtype);
  Rng(0).fill_normal(t, 0, 1);
  return t;
}

kernels::MatmulArgs arguments(const LinearShape& s) {
  using kernels::matrices;
  const auto result = [&](std::int64_t rows, std::int64_t cols) {
    return matrices(Tensor::zeros({rows, cols}, s.result));
  };
  const Tensor w = random(s.out, s.in, s.operand);
  switch (s.product) {
    case LinearProduct::forward:
      return {matrices(random(s.rows, s.in, s.operand)), matrices(w, true), result(s.rows, s.out)};
    case LinearProduct::input_gradient:
      return {matrices(random(s.rows, s.out, s.operand)), matrices(w), result(s.rows, s.in)};
    case LinearProduct::weight_gradient: break;
  }
  return {matrices(random(s.rows, s.out, s.operand), true), matrices(random(s.rows, s.in, s.operand)),
          result(s.out, s.in)};
}

// The product as the kernel of a linear layer makes it, from a master weight.
struct Layer {
  const KernelBase* kernel;
  std::function<void()> run;
};
Layer layer(const LinearShape& s) {
  const Tensor w = random(s.out, s.in, compute_dtype(s.operand));
  const auto of = [](const auto& kernel, auto args) {
    return Layer{&kernel, [&kernel, args = std::move(args)] { kernel(args); }};
  };
  switch (s.product) {
    case LinearProduct::forward:
      return of(kernels::linear, kernels::LinearArgs{random(s.rows, s.in, s.operand),
                                                     {{w, {}, Tensor::zeros({s.rows, s.out}, s.result)}}});
    case LinearProduct::input_gradient:
      return of(kernels::linear_data,
                kernels::LinearDataArgs{
                    {{random(s.rows, s.out, s.operand), w}}, Tensor::zeros({s.rows, s.in}, s.result), false});
    case LinearProduct::weight_gradient: break;
  }
  return of(
      kernels::linear_weight,
      kernels::LinearWeightArgs{random(s.rows, s.in, s.operand),
                                {{random(s.rows, s.out, s.operand), Tensor::zeros({s.out, s.in}, s.result), false}}});
}

MatmulTiming::Line time_implementation(const Workload& w, std::string_view kernel, std::string_view name, double flops,
                                       const std::function<void()>& run) {
  MatmulTiming::Line line{std::string(name)};
  if (name == "reference" && flops > kReferenceLimit) {
    line.reason = "too slow to measure here";
    return line;
  }
  KernelPolicy policy;
  policy.forced = {{std::string(kernel), std::string(name)}};
  const KernelChoice choice(policy);
  std::vector<double> seconds;
  try {
    for (std::int64_t i = -w.warmup; i < w.repeats; ++i) {
      const double s = seconds_of(run);
      if (i >= 0) seconds.push_back(s);
    }
    line.seconds = spread(seconds).median;
  } catch (const ConfigError& e) {
    line.reason = e.what();
  }
  return line;
}

MatmulTiming::Line time_best(const Workload& w, const LinearShape& shape) {
  MatmulTiming::Line line{"packed"};
  if (const Reason reason = kernels::onednn::best_matmul_unavailable(shape.operand)) {
    line.reason = reason;
    return line;
  }
  MatmulFloor best({{shape, 1}});
  for (std::int64_t i = 0; i < w.repeats; ++i) best.run();
  line.seconds = best.seconds();
  return line;
}

}  // namespace

std::vector<MatmulTiming> time_matmuls(const Workload& w) {
  set_num_threads(static_cast<int>(w.threads));
  std::vector<MatmulTiming> timings;
  for (const StepProduct& p : step_products(LanguageModel(w.model, {.values = Values::none}), w)) {
    MatmulTiming& t = timings.emplace_back();
    t.shape = p.shape;
    const Layer own = layer(p.shape);
    for (const KernelBase::Entry& e : own.kernel->entries())
      if (e.name != "product")  // which is the products below
        t.lines.push_back(time_implementation(w, own.kernel->name(), e.name, p.shape.flops(), own.run));
    const kernels::MatmulArgs args = arguments(p.shape);
    for (const KernelBase::Entry& e : kernels::matmul.entries())
      t.lines.push_back(time_implementation(w, "matmul", e.name, p.shape.flops(), [&] { kernels::matmul(args); }));
    t.lines.push_back(time_best(w, p.shape));
  }
  return timings;
}

std::string table(const std::vector<MatmulTiming>& timings) {
  std::string text = fmt::format("{:<17}{:<18}{:<13}", "product, GF/s", "rows x in x out", "dtypes");
  for (const MatmulTiming::Line& line : timings[0].lines) text += fmt::format("{:>12}", line.name);
  text += "\n";
  for (const MatmulTiming& t : timings) {
    const LinearShape& s = t.shape;
    text += fmt::format("{:<17}{:<18}{:<13}", name_of(s), fmt::format("{}x{}x{}", s.rows, s.in, s.out),
                        fmt::format("{} -> {}", name_of(s.operand), name_of(s.result)));
    for (const MatmulTiming::Line& line : t.lines)
      text += fmt::format("{:>12}", line.seconds > 0 ? fmt::format("{:.0f}", s.flops() / line.seconds / 1e9) : "-");
    text += "\n";
  }
  return text +
         "amx, avx512: tiles of our own, as linear layers run; a weight is packed before, what a weight gradient reads "
         "is packed each time\npacked: oneDNN with its best layout of the weight, of which the matmul floor is made\n";
}

nlohmann::ordered_json to_json(const std::vector<MatmulTiming>& timings) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const MatmulTiming& t : timings) {
    nlohmann::ordered_json lines = nlohmann::ordered_json::object();
    for (const MatmulTiming::Line& line : t.lines)
      lines[line.name] = line.seconds > 0
                             ? nlohmann::ordered_json{{"seconds", line.seconds},
                                                      {"gflops_per_second", t.shape.flops() / line.seconds / 1e9}}
                             : nlohmann::ordered_json{{"declines", line.reason}};
    list.push_back({{"product", name_of(t.shape)},
                    {"rows", t.shape.rows},
                    {"in", t.shape.in},
                    {"out", t.shape.out},
                    {"operand", name_of(t.shape.operand)},
                    {"result", name_of(t.shape.result)},
                    {"implementations", lines}});
  }
  return list;
}

}  // namespace blalm::bench
