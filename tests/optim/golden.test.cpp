// Five steps of each optimiser against the reference implementation.
#include "engine/core/error.h"
#include "engine/io/safetensors.h"
#include "optim/optimizer.h"
#include "tests/optim/support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

// Largest relative error over all steps and parameters. The files hold float64 results rounded to f32, so that f64
// parameters must agree to that rounding.
double worst_error(const char* file_name, OptimizerKind kind, DType dtype) {
  const auto file = SafetensorsFile::open(testing::golden_folder() + "/" + file_name);
  std::vector<test::Description> list;
  for (const auto& [name, info] : file.tensors())
    if (name.starts_with("param/")) {
      const std::string parameter = name.substr(6);
      list.push_back({parameter, role_of_name(parameter, info.shape.rank()), info.shape});
    }
  REQUIRE(list.size() == 8);
  test::ParameterList parameters(list, dtype);
  for (std::size_t i = 0; i < list.size(); ++i) parameters[i].value.copy_from(file.load("param/" + list[i].name));

  OptimConfig config;
  config.optimizer = kind;
  config.lr = 1e-2;
  config.clip = 0;
  Optimizer optimizer(parameters.pointers(), config);
  double worst = 0;
  for (int step = 1; step <= 5; ++step) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      parameters[i].grad.copy_from(file.load("grad/" + std::to_string(step) + "/" + list[i].name));
      parameters[i].has_grad = true;
    }
    CHECK(optimizer.step().applied);
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Tensor expected = file.load_as("after/" + std::to_string(step) + "/" + list[i].name, dtype);
      worst = std::max(worst, test::largest_relative_error(parameters[i].value, expected));
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("five steps follow the reference, in f32 and f64, on every backend") {
  for (const Backend backend : {Backend::automatic, Backend::cpu}) {
    const KernelChoice choice({.backend = backend, .composed = false, .forced = {}});
    CHECK(worst_error("optim-adamw.safetensors", OptimizerKind::adamw, DType::f32) < 1e-6);
    CHECK(worst_error("optim-adamw.safetensors", OptimizerKind::adamw, DType::f64) < 1e-7);
    CHECK(worst_error("optim-muon.safetensors", OptimizerKind::muon, DType::f32) < 1e-6);
    CHECK(worst_error("optim-muon.safetensors", OptimizerKind::muon, DType::f64) < 1e-7);
  }
}

}  // namespace blalm
