#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "blalm/apps/check/attributes.h"
#include "blalm/apps/check/contents.h"
#include "blalm/apps/check/golden.h"
#include "blalm/core/error.h"
#include "blalm/optim/optimizer.h"

namespace blalm::check {
namespace {

std::string at_step(std::string_view what, std::int64_t step, std::string_view name) {
  return fmt::format("{}/{}/{}", what, step, name);
}

// The roles that models give to parameters of these names (spec §13.4).
Role role_of(std::string_view name, int rank) {
  const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  if (has("embed_tokens") || has("lm_head") || has("meta_tokens")) return Role::embedding;
  if (has("_conv")) return Role::convolution;
  if (rank < 2) return Role::vector;
  return has(".igate.") || has(".fgate.") ? Role::gate : Role::matrix;
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

// AdamW's first step is lr · g / (|g| + eps), so lr for nearly every number; Muon's are all of other sizes.
OptimizerKind kind_from_first_step(const SafetensorsFile& file, const std::vector<std::string>& names,
                                   const OptimConfig& config) {
  std::int64_t seen = 0, moved_by_lr = 0;
  for (const std::string& name : names) {
    const Tensor before = file.load_as("param/" + name, DType::f64);
    if (before.rank() < 2 || role_of(name, before.rank()) == Role::embedding) continue;
    if (role_of(name, before.rank()) == Role::convolution) continue;
    const Tensor after = file.load_as(at_step("after", 1, name), DType::f64);
    for (std::int64_t i = 0; i < before.numel(); ++i) {
      const double step = before.at(i) * (1 - config.lr * config.weight_decay) - after.at(i);
      ++seen;
      moved_by_lr += std::abs(std::abs(step) - config.lr) < 0.01 * config.lr ? 1 : 0;
    }
  }
  return 2 * moved_by_lr > seen || seen == 0 ? OptimizerKind::adamw : OptimizerKind::muon;
}

// Attributes that are settings of the optimiser; others say nothing to us. The reference does not clip.
OptimConfig config_from(const SafetensorsFile& file, const Attributes& attributes,
                        const std::vector<std::string>& names) {
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
  if (!attributes.has("optimizer")) config.optimizer = kind_from_first_step(file, names, config);
  return config;
}

}  // namespace

void check_optim(const SafetensorsFile& file, const CheckOptions& options, Report& report) {
  const std::string file_name = name_of(file);
  const Attributes attributes(file);
  const std::vector<std::string> names = names_under(file, "param/");
  const std::int64_t steps = check_contents(file, names);
  OptimConfig config = config_from(file, attributes, names);
  if (options.dtype == DType::bf16) config.ns_precision = NewtonSchulzPrecision::bf16;

  const DType dtype = options.dtype == DType::f64 ? DType::f64 : DType::f32;
  std::deque<Parameter> parameters;
  std::vector<Parameter*> pointers;
  for (const std::string& name : names) {
    Parameter& p = parameters.emplace_back();
    p.name = name;
    p.value = file.load_as("param/" + name, dtype);
    p.role = role_of(name, p.value.rank());
    pointers.push_back(&p);
  }
  Optimizer optimizer(pointers, config);
  const double tolerance = options.tolerance_for(file_name).result;
  for (std::int64_t step = 1; step <= steps; ++step) {
    for (Parameter& p : parameters) {
      p.grad = file.load_as(at_step("grad", step, p.name), dtype);
      p.has_grad = true;
    }
    if (const StepResult result = optimizer.step(); !result.applied)
      throw FormatError(
          expected_got(file_name, "finite gradients", fmt::format("grad/{}/{} that is not", step, result.non_finite)));
    for (const Parameter& p : parameters) {
      const std::string after = at_step("after", step, p.name);
      report.compare(file_name, after, p.value, file.load(after), tolerance);
    }
  }
}

}  // namespace blalm::check
