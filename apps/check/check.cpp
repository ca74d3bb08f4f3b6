// blalm check FILE...: compares outputs and all gradients with golden files.
#include <filesystem>
#include <map>

#include "apps/check/golden.h"
#include "apps/common/command.h"
#include "apps/common/options.h"

namespace blalm {
namespace {

using check::CheckOptions;
using check::Report;

ops::MlstmForm parse_form(const std::string& name) {
  const std::map<std::string, ops::MlstmForm> forms = {{"auto", ops::MlstmForm::automatic},
                                                       {"recurrent", ops::MlstmForm::recurrent},
                                                       {"parallel", ops::MlstmForm::parallel},
                                                       {"chunkwise", ops::MlstmForm::chunkwise}};
  const auto it = forms.find(name);
  if (it == forms.end()) throw ConfigError(expected_got("form", "recurrent, parallel, chunkwise or auto", name));
  return it->second;
}

DType parse_dtype(const std::string& name) {
  for (const DType d : {DType::f32, DType::f64, DType::bf16})
    if (name_of(d) == name) return d;
  throw ConfigError(expected_got("dtype", "f32, f64 or bf16", name));
}

ExitCode run_check(int argc, char** argv) {
  const HelpPage page{
      "check", "FILE...",
      "Compares outputs, all gradients and optimiser steps with golden safetensors files of "
      "operations, models and optimisers. Exit code 0: all agree; 4: a mismatch, or a file that the chosen "
      "kernels decline; 3: a bad file.",
      "check tests/golden/*.safetensors --form recurrent"};
  cxxopts::Options options = make_options(page);
  options.add_options()("tolerance",
                        "largest relative error, norm over norm (default 1e-4; in bf16 2e-2 for results and 3e-2 for "
                        "gradients, for models 3e-2 for logits, 3e-3 for the loss and 0.25 for gradients; ten times "
                        "that for extreme-gates files)",
                        cxxopts::value<std::string>())("form", "of the mLSTM: recurrent, parallel, chunkwise or auto",
                                                       cxxopts::value<std::string>()->default_value("auto"))(
      "dtype",
      "to compute in: f32, f64 or bf16 (activations and operands of products; weights, gates and sums stay f32); "
      "default f32, with --composed f64",
      cxxopts::value<std::string>());
  add_kernel_options(options);
  const ParsedOptions parsed = parse_options(options, page, argc, argv);
  if (parsed.help) return ExitCode::kDone;
  if (parsed.positional.empty())
    throw ConfigError(expected_got("blalm check", "one or more files", "none", "see --help"));

  CheckOptions check;
  set_fields(parsed, check.fields());
  check.form = parse_form(parsed.values["form"].as<std::string>());
  const KernelPolicy policy = kernel_policy_from(parsed);
  // A composition is what an operation means, and is judged without the rounding between its parts.
  check.dtype = parsed.has("dtype") ? parse_dtype(parsed.text("dtype")) : policy.composed ? DType::f64 : DType::f32;
  const KernelChoice choice(policy);

  Report report;
  for (const std::string& path : parsed.positional) {
    try {
      check::check_file(SafetensorsFile::open(path), check, report);
    } catch (const ConfigError& e) {
      report.declined(path, e.what());  // the file may be good: what --kernel asks for does not take it
    } catch (const Error& e) {
      report.bad_file(path, e.what());
    }
  }
  const ExitCode code = report.finish();
  if (code == ExitCode::kDone) expect_forced_kernels_ran(policy);
  return code;
}

}  // namespace

constinit const Command check_command{"check", "compare outputs and gradients with golden files", run_check};

}  // namespace blalm
