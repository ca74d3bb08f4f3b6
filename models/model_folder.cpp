#include "models/model_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <set>

#include "engine/core/error.h"
#include "engine/io/atomic_file.h"
#include "engine/io/mapped_file.h"
#include "engine/io/safetensors.h"
#include "models/config_json.h"

namespace blalm {
namespace {

constexpr const char* kWeights = "model.safetensors";
constexpr const char* kConfigFile = "config.json";

bool holds_floats(const SafetensorsInfo& info) {
  return info.dtype == "F32" || info.dtype == "BF16" || info.dtype == "F64" || info.dtype == "F16";
}

// Adds to `problems` what keeps the file from filling a model of this config.
void compare(const ModelConfig& config, const SafetensorsFile& file, std::vector<std::string>& problems) {
  const LanguageModel model(config, {.values = Values::none});  // allocates nothing, whatever sizes a config claims
  std::set<std::string, std::less<>> known;
  for (const auto& [parameter, shape] : model.shaped_parameters()) {
    const std::string& name = parameter->name;
    known.insert(name);
    if (!file.contains(name)) {
      problems.push_back(fmt::format("tensor {} is missing", name));
      continue;
    }
    const SafetensorsInfo& info = file.info(name);
    if (info.shape != shape)
      problems.push_back(fmt::format("tensor {} is {}, not {}", name, info.shape.str(), shape.str()));
    else if (!holds_floats(info))
      problems.push_back(fmt::format("tensor {} holds {}, not floating-point numbers", name, info.dtype));
  }
  for (const std::string& name : file.names())
    if (!known.contains(name)) problems.push_back(fmt::format("tensor {} has no place in the model", name));
}

// One line of all problems; of a wild config with thousands, the first ones and their number.
std::string listed(std::vector<std::string> problems) {
  constexpr std::size_t kMost = 500;
  if (problems.size() > kMost) {
    const std::size_t more = problems.size() - kMost;
    problems.resize(kMost);
    problems.push_back(fmt::format("and {} more", more));
  }
  return fmt::format("{}", fmt::join(problems, "; "));
}

}  // namespace

void save_model(const LanguageModel& model, const std::filesystem::path& folder, DType stored_as) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw DataError(fmt::format("[model] cannot make folder {}: {}", folder.string(), error.message()));
  SafetensorsWriter writer;
  for (const Parameter* p : model.parameters()) writer.add(p->name, p->value, stored_as);
  writer.metadata("format", "pt");
  writer.write(folder / kWeights);
  write_file_atomically(folder / kConfigFile, to_json(model.config(), model.text_format));
}

std::unique_ptr<LanguageModel> load_model(const std::filesystem::path& folder, DType dtype) {
  const MappedFile text(folder / kConfigFile);
  const SafetensorsFile weights = SafetensorsFile::open(folder / kWeights);
  std::vector<std::string> problems;
  TextFormat format;
  const std::optional<ModelConfig> config = config_from_json(text.text(), problems, &format);
  if (config) compare(*config, weights, problems);
  if (!problems.empty())
    throw FormatError(fmt::format("[model] {} does not fit together: {}", folder.string(), listed(problems)));
  auto model = std::make_unique<LanguageModel>(*config, BuildOptions{.dtype = dtype, .values = Values::unset});
  model->text_format = std::move(format);
  for (Parameter* p : model->parameters()) p->value = weights.load_as(p->name, dtype);
  return model;
}

ModelConfig load_config(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kConfigFile;
  return config_from_json(MappedFile(path).text(), path.string());
}

}  // namespace blalm
