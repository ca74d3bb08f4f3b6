// Whole models against float64 results of the PyTorch definition: logits, loss and the gradient of every parameter.
// BLALM_GOLDEN=DIR checks the model files of another folder too.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "engine/io/safetensors.h"
#include "engine/kernels/kernel.h"
#include "models/config_json.h"
#include "tests/models/support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

using namespace test;

std::vector<std::filesystem::path> golden_models() {
  std::vector<std::filesystem::path> folders = {testing::golden_folder()}, files;
  if (const char* other = std::getenv("BLALM_GOLDEN")) folders.emplace_back(other);
  for (const auto& folder : folders)
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      if (entry.path().filename().string().starts_with("model-")) files.push_back(entry.path());
  return files;
}

void compare(const SafetensorsFile& file, const RunOptions& run, DType dtype, double tolerance) {
  const ModelConfig config = config_from_json(file.metadata().at("config"));
  LanguageModel model(config, {.dtype = dtype, .values = Values::unset});
  model.run.mlstm_form = run.mlstm_form;
  model.run.recompute = run.recompute;
  std::size_t parameters = 0;
  for (const std::string& name : file.names()) parameters += name.starts_with("param/") ? 1 : 0;
  REQUIRE(model.parameters().size() == parameters);
  for (Parameter* p : model.parameters()) {
    CAPTURE(p->name);
    REQUIRE(file.contains("param/" + p->name));
    p->value.copy_from(file.load("param/" + p->name));
  }
  const Tensor ids = file.load("ids"), targets = file.load("targets");
  CHECK(relative_error(logits(model, ids), file.load("logits")) < tolerance);
  CHECK(run_step(model, ids, targets) == doctest::Approx(file.load("loss").at(0)).epsilon(tolerance));
  for (Parameter* p : model.parameters()) {
    CAPTURE(p->name);
    REQUIRE(p->has_grad);
    CHECK(relative_error(p->grad, file.load("grad/" + p->name)) < tolerance);
  }
}

}  // namespace

TEST_CASE("golden models") {
  REQUIRE(golden_models().size() >= 5);
  for (const auto& path : golden_models()) {
    CAPTURE(path);
    const SafetensorsFile file = SafetensorsFile::open(path);
    compare(file, {}, DType::f32, 1e-4);
    // The files hold rounded numbers; the forms differ by the eps of the normaliser (spec §5.3).
    compare(file, {}, DType::f64, 1e-6);
  }
}

TEST_CASE("golden models, in every form of the mLSTM, recomputed, on plain kernels") {
  const SafetensorsFile file =
      SafetensorsFile::open(std::filesystem::path(testing::golden_folder()) / "model-full.safetensors");
  for (const auto form : {ops::MlstmForm::recurrent, ops::MlstmForm::parallel, ops::MlstmForm::chunkwise})
    compare(file, {.precision = {}, .mlstm_form = form}, DType::f64, 2e-6);
  compare(file, {.precision = {}, .recompute = true}, DType::f32, 1e-4);
  const KernelChoice cpu({.backend = Backend::cpu, .forced = {}});
  compare(file, {}, DType::f32, 1e-4);
}

}  // namespace blalm
