#include "optim/optimizer.h"

#include <fmt/format.h>

#include <cmath>
#include <set>
#include <utility>

#include "engine/core/derived.h"
#include "engine/core/error.h"
#include "optim/real.h"

namespace blalm {
namespace {

std::vector<Parameter*> checked(std::span<Parameter* const> parameters) {
  std::set<std::string_view> names;
  for (const Parameter* p : parameters) {
    if (!names.insert(p->name).second)
      throw ConfigError(expected_got("optimizer", "each parameter once", p->name + " twice"));
    if (!p->value.defined() || !is_real_parameter_dtype(p->value.dtype()))
      throw ShapeError(expected_got("optimizer", "a parameter in f32 or f64", p->name + " " + p->value.str()));
  }
  return {parameters.begin(), parameters.end()};
}

OptimConfig checked(OptimConfig config) {
  const Fields fields = config.fields();
  for (const Field& field : fields.list()) field.set(field.get());
  return config;
}

std::vector<Parameter*> under(UpdateRule rule, const std::vector<Parameter*>& parameters, const OptimConfig& config) {
  std::vector<Parameter*> chosen;
  for (Parameter* p : parameters)
    if (update_rule(*p, config) == rule) chosen.push_back(p);
  return chosen;
}

double root_mean(double sum, std::int64_t n) { return n == 0 ? 0.0 : std::sqrt(sum / static_cast<double>(n)); }

}  // namespace

Optimizer::Optimizer(std::span<Parameter* const> parameters, const OptimConfig& config)
    : config_(checked(config)),
      parameters_(checked(parameters)),
      gradient_norm_(parameters_),
      adamw_(under(UpdateRule::adamw, parameters_, config_), config_),
      muon_(under(UpdateRule::muon, parameters_, config_), config_) {}

StepResult Optimizer::step(double lr) {
  if (!(lr >= 0) || !std::isfinite(lr))
    throw ConfigError(expected_got("optimizer", "a learning rate of at least 0", fmt::format("{}", lr)));
  const GradientNorm::Result gradient = gradient_norm_.measure();
  StepResult result;
  result.grad_norm = gradient.norm;
  if (gradient.non_finite != nullptr) {
    ++skipped_;
    result.applied = false;
    result.non_finite = gradient.non_finite->name;
    return result;
  }
  if (config_.clip > 0 && gradient.norm > config_.clip) result.gradient_scale = config_.clip / gradient.norm;
  ++updates_;
  const Update update{lr, result.gradient_scale, updates_, collect_};
  adamw_.update(update);
  muon_.update(update);
  // Copies of the weights as they were: the next pass makes its own when it comes to them.
  for (const Parameter* p : parameters_) drop_derived(p->value);
  return result;
}

void Optimizer::zero_grad() {
  for (Parameter* p : parameters_) p->release_grad();
}

std::vector<ParameterStatistics> Optimizer::statistics() const {
  std::map<const Parameter*, ParameterStatistics> of;
  const auto take = [&](UpdateRule rule, const std::vector<Parameter*>& parameters,
                        const std::vector<UpdateSums>& sums) {
    for (std::size_t k = 0; k < parameters.size(); ++k) {
      const Parameter& p = *parameters[k];
      of[&p] = {p.name, rule, 0, root_mean(sums[k].update, p.value.numel()), root_mean(sums[k].value, p.value.numel())};
    }
  };
  take(UpdateRule::adamw, adamw_.parameters(), adamw_.sums());
  take(UpdateRule::muon, muon_.parameters(), muon_.sums());
  std::vector<ParameterStatistics> list;
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    list.push_back(of.at(parameters_[k]));
    list.back().grad_norm = gradient_norm_.norms()[k];
  }
  return list;
}

OptimizerState Optimizer::state() const {
  std::vector<NamedState> list;
  adamw_.list_state(list);
  muon_.list_state(list);
  OptimizerState state;
  state.updates = updates_;
  state.skipped = skipped_;
  for (NamedState& s : list) state.tensors.emplace(std::move(s.name), std::move(s.tensor));
  return state;
}

void Optimizer::restore(const OptimizerState& saved) {
  const OptimizerState own = state();
  std::string faults;
  const auto fault = [&](std::string text) { faults += (faults.empty() ? "" : "; ") + std::move(text); };
  for (const auto& [name, tensor] : own.tensors) {
    const auto it = saved.tensors.find(name);
    if (it == saved.tensors.end())
      fault("missing " + name);
    else if (!it->second.defined() || it->second.shape() != tensor.shape() || it->second.dtype() != tensor.dtype())
      fault(fmt::format("{} {} in place of {}", name, it->second.str(), tensor.str()));
  }
  for (const auto& [name, tensor] : saved.tensors)
    if (!own.tensors.contains(name)) fault("unexpected " + name);
  if (saved.updates < 0 || saved.skipped < 0) fault("a negative count of steps");
  if (!faults.empty())
    throw DataError(expected_got("optimizer state",
                                 fmt::format("the {} tensors of this model and optimiser", own.tensors.size()), faults,
                                 "was it saved with another optimiser or model?"));
  for (const auto& [name, tensor] : own.tensors) tensor.copy_from(saved.tensors.at(name));
  updates_ = saved.updates;
  skipped_ = saved.skipped;
}

}  // namespace blalm
