#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <utility>
#include <vector>

#include "apps/check/contents.h"
#include "apps/check/golden.h"
#include "engine/core/error.h"
#include "engine/kernels/kernel.h"
#include "models/config_json.h"
#include "models/language_model.h"

namespace blalm::check {
namespace {

// ids, targets and logits have sizes of their own, and the parameters those of the config. The model without values
// costs no memory, whatever the config claims.
void check_contents(const SafetensorsFile& file, const ModelConfig& config) {
  Contents contents(file);
  const Shape ids = contents.shape_of("ids");
  if (file.contains("ids") && (ids.rank() != 2 || ids.numel() == 0))
    contents.problem(fmt::format("tensor ids is {}, not [batch, length]", ids.str()));
  contents.integers("ids", ids);
  contents.integers("targets", ids);
  if (ids.rank() == 2) contents.floats("logits", Shape({ids.dim(0), ids.dim(1), config.vocab_size}));
  const Shape loss = contents.shape_of("loss");
  contents.floats("loss", loss.rank() == 0 ? loss : Shape({1}));
  const LanguageModel model(config, {.values = Values::none});
  for (const auto& [parameter, shape] : model.shaped_parameters()) {
    contents.floats("param/" + parameter->name, shape);
    contents.floats("grad/" + parameter->name, shape);
  }
  contents.finish();
}

ModelConfig config_of(const SafetensorsFile& file) {
  std::vector<std::string> problems;
  const std::optional<ModelConfig> config = config_from_json(file.metadata().at("config"), problems);
  if (!problems.empty()) throw FormatError(fmt::format("[check] {}: {}", name_of(file), fmt::join(problems, "; ")));
  return *config;
}

struct Results {
  Tensor logits, loss;
  std::vector<std::pair<std::string, Tensor>> gradients;  // in the order of the model
};

Results compute(const SafetensorsFile& file, const ModelConfig& config, const CheckOptions& options) {
  const DType dtype = options.dtype == DType::f64 ? DType::f64 : DType::f32;
  LanguageModel model(config, {.dtype = dtype, .values = Values::unset});
  if (options.dtype == DType::bf16) model.run.precision = Precision::bf16();
  model.run.mlstm_form = options.form;
  for (Parameter* p : model.parameters()) p->value = file.load_as("param/" + p->name, dtype);
  const Tensor ids = file.load("ids"), targets = file.load("targets");

  Results results;
  {
    Tape tape;
    results.logits = model.logits(tape, ids).value();
  }
  Tape tape;
  const Var loss = model.loss(tape, ids, targets);
  tape.backward(loss);
  results.loss = loss.value().reshape(file.info("loss").shape);
  for (const Parameter* p : model.parameters())  // what no path leads to has the gradient zero
    results.gradients.emplace_back(p->name, p->has_grad ? p->grad : Tensor::zeros(p->value.shape()));
  return results;
}

// The terms of a gate's bias gradient all but cancel (ops/mlstm.cpp): in the golden models it is down to 6e-5 of its
// weight's, and bf16 leaves no digit of it. In bf16 it is judged as one column of the weight, which it is: W x + b.
// Empty for other parameters.
std::string weight_of_gate_bias(const std::string& parameter) {
  for (const std::string gate : {".igate.", ".fgate."})
    if (parameter.ends_with(gate + "bias")) return parameter.substr(0, parameter.size() - 4) + "weight";
  return {};
}

}  // namespace

void check_model(const SafetensorsFile& file, const CheckOptions& options, Report& report) {
  const std::string name = name_of(file);
  const ModelConfig config = config_of(file);
  check_contents(file, config);
  const Results results = compute(file, config, options);

  const Tolerance tolerance = options.model_tolerance_for(name);
  report.compare(name, "logits", results.logits, file.load("logits"), tolerance.result);
  report.compare(name, "loss", results.loss, file.load("loss"), tolerance.loss);
  for (const auto& [parameter, gradient] : results.gradients) {
    const std::string weight = options.dtype == DType::bf16 ? weight_of_gate_bias(parameter) : "";
    const Tensor beside = weight.empty() ? Tensor() : file.load("grad/" + weight);
    report.compare(name, "grad/" + parameter, gradient, file.load("grad/" + parameter), tolerance.gradient, beside);
  }
}

}  // namespace blalm::check
