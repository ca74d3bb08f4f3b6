#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "apps/check/attributes.h"
#include "apps/check/contents.h"
#include "apps/check/golden.h"
#include "engine/core/error.h"
#include "optim/groups.h"
#include "optim/optimizer.h"

namespace blalm::check {
namespace {

std::string at_step(std::string_view what, std::int64_t step, std::string_view name) {
  return fmt::format("{}/{}/{}", what, step, name);
}

// Checks what the file holds; returns the number of steps.
std::int64_t check_contents(const SafetensorsFile& file, const std::vector<std::string>& names) {
  Contents contents(file);
  std::int64_t steps = 0;
  while (!names_under(file, at_step("after", steps + 1, "")).empty()) ++steps;
  if (steps == 0) contents.problem("there is no tensor after/1/…");
  for (const std::string& name : names) {
    const Shape shape = contents.shape_of("param/" + name);
    contents.floats("param/" + name, shape);
    for (std::int64_t step = 1; step <= steps; ++step) {
      contents.floats(at_step("grad", step, name), shape);
      contents.floats(at_step("after", step, name), shape);
    }
  }
  contents.finish();
  return steps;
}

// Attributes that are settings of the optimiser; others say nothing to us. The reference does not clip.
OptimConfig config_from(const SafetensorsFile& file, const Attributes& attributes) {
  OptimConfig config;
  config.clip = 0;
  attributes.number("lr");
  try {
    const Fields fields = config.fields();
    for (const std::string& key : attributes.keys())
      if (std::ranges::find(fields.list(), key, &Field::key) != fields.list().end())
        fields.set("optim." + key, attributes.setting(key));
    if (attributes.has("betas")) {
      const std::vector<double> betas = attributes.numbers("betas");
      if (betas.size() != 2)
        throw FormatError(expected_got(name_of(file), "two betas", fmt::format("{}", betas.size())));
      fields.set("optim.beta1", fmt::format("{}", betas[0]));
      fields.set("optim.beta2", fmt::format("{}", betas[1]));
    }
  } catch (const ConfigError& e) {
    throw FormatError(fmt::format("[check] {}: {}", name_of(file), e.what()));
  }
  return config;
}

// An optimiser on the file's parameters.
class Trajectory {
 public:
  Trajectory(const SafetensorsFile& file, const std::vector<std::string>& names, const OptimConfig& config, DType dtype)
      : file_(file), parameters_(names.size()) {
    std::vector<Parameter*> pointers;
    for (std::size_t i = 0; i < names.size(); ++i) {
      Parameter& p = parameters_[i];
      p.name = names[i];
      p.value = file.load_as("param/" + p.name, dtype);
      p.role = role_of_name(p.name, p.value.rank());
      pointers.push_back(&p);
    }
    optimizer_.emplace(pointers, config);
  }

  // One step with the file's gradients: 1, 2, …
  void run(std::int64_t step) {
    for (Parameter& p : parameters_) {
      p.grad = file_.load_as(at_step("grad", step, p.name), p.value.dtype());
      p.has_grad = true;
    }
    if (const StepResult result = optimizer_->step(); !result.applied)
      throw FormatError(expected_got(name_of(file_), "finite gradients",
                                     fmt::format("grad/{}/{} that is not", step, result.non_finite)));
  }
  const std::vector<Parameter>& parameters() const { return parameters_; }

 private:
  const SafetensorsFile& file_;
  std::vector<Parameter> parameters_;
  std::optional<Optimizer> optimizer_;
};

// The one whose first step comes nearer to the file's.
OptimizerKind kind_from_first_step(const SafetensorsFile& file, const std::vector<std::string>& names,
                                   OptimConfig config) {
  const auto distance = [&](OptimizerKind kind) {
    config.optimizer = kind;
    Trajectory trajectory(file, names, config, DType::f64);
    trajectory.run(1);
    double sum = 0;
    for (const Parameter& p : trajectory.parameters())
      sum += relative_error(p.value, file.load(at_step("after", 1, p.name)));
    return sum;
  };
  return distance(OptimizerKind::muon) < distance(OptimizerKind::adamw) ? OptimizerKind::muon : OptimizerKind::adamw;
}

}  // namespace

void check_optim(const SafetensorsFile& file, const CheckOptions& options, Report& report) {
  const std::string file_name = name_of(file);
  const Attributes attributes(file);
  const std::vector<std::string> names = names_under(file, "param/");
  const std::int64_t steps = check_contents(file, names);
  OptimConfig config = config_from(file, attributes);
  if (!attributes.has("optimizer")) config.optimizer = kind_from_first_step(file, names, config);
  if (options.dtype == DType::bf16) config.ns_precision = NewtonSchulzPrecision::bf16;

  Trajectory trajectory(file, names, config, options.dtype == DType::f64 ? DType::f64 : DType::f32);
  const double tolerance = options.tolerance_for(file_name).result;
  for (std::int64_t step = 1; step <= steps; ++step) {
    trajectory.run(step);
    for (const Parameter& p : trajectory.parameters()) {
      const std::string after = at_step("after", step, p.name);
      report.compare(file_name, after, p.value, file.load(after), tolerance);
    }
  }
}

}  // namespace blalm::check
