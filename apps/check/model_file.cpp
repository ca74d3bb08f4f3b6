#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "blalm/apps/check/contents.h"
#include "blalm/apps/check/golden.h"
#include "blalm/core/error.h"
#include "blalm/kernels/kernel.h"
#include "blalm/models/config_json.h"
#include "blalm/models/language_model.h"

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
  const ModelConfig config = config_from_json(file.metadata().at("config"), problems);
  if (!problems.empty()) throw FormatError(fmt::format("[check] {}: {}", name_of(file), fmt::join(problems, "; ")));
  return config;
}

double norm_of(const Tensor& t) {
  double sum = 0;
  for (std::int64_t i = 0; i < t.numel(); ++i) sum += t.at(i) * t.at(i);
  return std::sqrt(sum);
}

// The parameters' gradients in the file as one vector.
double gradient_norm(const SafetensorsFile& file) {
  double sum = 0;
  for (const std::string& name : names_under(file, "grad/")) {
    const double norm = norm_of(file.load("grad/" + name));
    sum += norm * norm;
  }
  return std::sqrt(sum);
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

// Some gradients are sums that all but cancel. The head norm makes the mLSTM nearly blind to a shift of its input
// gates, so that the gradient of their bias is what is left of terms ten thousand times as large: f32 cannot hold it to
// 1e-4, in whatever order it is summed. A gradient that misses the tolerance in f32 therefore passes when the same code
// in f64 meets it, and the miss is not more than kShare times the tolerance of the whole model's gradient.
class JudgeInDouble {
 public:
  JudgeInDouble(const SafetensorsFile& file, const ModelConfig& config, const CheckOptions& options)
      : file_(file), config_(config), options_(options), tolerance_(options.tolerance_for(name_of(file)).gradient) {
    options_.dtype = DType::f64;
  }

  std::optional<std::string> operator()(std::size_t index, const Tensor& got) {
    const Tensor reference = file_.load("grad/" + names(index));
    if (got.shape() != reference.shape()) return {};
    if (norm_ < 0) norm_ = gradient_norm(file_);
    const double miss = relative_error(got, reference) * norm_of(reference);
    if (!(miss <= kShare * tolerance_ * norm_)) return {};
    const double error = relative_error(results().gradients[index].second, reference);
    if (!(error <= tolerance_)) return {};
    return fmt::format("{:.0e} in f64, a sum that cancels", error);
  }

 private:
  static constexpr double kShare = 0.01;

  const std::string& names(std::size_t index) { return results().gradients[index].first; }
  const Results& results() {
    if (!results_) {
      const KernelChoice choice{KernelPolicy{}};  // a forced implementation may not take f64
      results_ = compute(file_, config_, options_);
    }
    return *results_;
  }

  const SafetensorsFile& file_;
  const ModelConfig& config_;
  CheckOptions options_;
  double tolerance_, norm_ = -1;
  std::optional<Results> results_;
};

}  // namespace

void check_model(const SafetensorsFile& file, const CheckOptions& options, Report& report) {
  const std::string name = name_of(file);
  const ModelConfig config = config_of(file);
  check_contents(file, config);
  const Results results = compute(file, config, options);

  const Tolerance tolerance = options.tolerance_for(name);
  report.compare(name, "logits", results.logits, file.load("logits"), tolerance.result);
  report.compare(name, "loss", results.loss, file.load("loss"), tolerance.result);
  JudgeInDouble judge(file, config, options);
  for (std::size_t i = 0; i < results.gradients.size(); ++i) {
    const auto& [parameter, gradient] = results.gradients[i];
    SecondOpinion second;
    if (options.dtype == DType::f32) second = [&, i] { return judge(i, results.gradients[i].second); };
    report.compare(name, "grad/" + parameter, gradient, file.load("grad/" + parameter), tolerance.gradient, second);
  }
}

}  // namespace blalm::check
