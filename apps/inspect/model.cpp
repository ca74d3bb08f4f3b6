// blalm inspect model: the module tree of a model that is described or saved.
#include <fmt/format.h>

#include "apps/common/folders.h"
#include "apps/common/options.h"
#include "apps/common/output.h"
#include "apps/common/settings.h"
#include "apps/inspect/subjects.h"
#include "engine/core/error.h"
#include "engine/io/atomic_file.h"
#include "models/config.h"
#include "models/describe.h"
#include "models/model_folder.h"

namespace blalm {
namespace {

// What describes a model without any weights.
struct InspectRequest {
  std::string preset = "mlstm", size = "nano";
  std::int64_t vocab_size = ModelConfig().vocab_size;
  std::int64_t seq = 512;

  Fields fields() {
    Fields f;
    f.add("preset", preset, "row of the ablation table, as swa-dynmod, or swa+c with the short convolution");
    f.add("size", size, "width and layers: nano, tiny, small or base");
    f.add("vocab-size", vocab_size, "tokens in the vocabulary").at_least(1).at_most(1 << 24);
    f.add("seq", seq, "length of the sequences, for operations a token").at_least(1).at_most(1 << 24);
    return f;
  }
};

ModelConfig config_from(const InspectRequest& request, const std::vector<Setting>& settings) {
  ModelConfig config;
  apply_preset(config, request.preset);
  apply_size(config, request.size);
  config.vocab_size = request.vocab_size;
  apply_settings(settings, config.fields());
  return config;
}

// A saved model is what it is.
ModelConfig config_of_folder(const ParsedOptions& parsed, const std::vector<Setting>& settings) {
  for (const char* name : {"preset", "size", "vocab-size"})
    if (parsed.has(name))
      throw ConfigError(
          expected_got(fmt::format("--{}", name), "no --model beside it", "both", "a saved model has its own"));
  if (!settings.empty())
    throw ConfigError(expected_got(settings[0].origin, "no --model beside it", "both", "a saved model has its own"));
  return load_config(find_model_folder(parsed.text("model")));
}

ExitCode run_inspect_model(int argc, char** argv) {
  InspectRequest request;
  ModelConfig defaults = config_from(request, {});
  HelpPage page{"inspect model", "",
                "Prints a model as a tree: names, shapes, roles, counts, bytes, operations a token. Weights are not "
                "read and take no memory.",
                "inspect model --preset full --size nano --vocab-size 8000 --model.swa_window 32"};
  add_settings(
      page,
      fmt::format("Settings of the model, set after preset and size; defaults are those of --preset {} --size {}:",
                  request.preset, request.size),
      defaults.fields());
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::vector<Setting> settings = take_flags(arguments, defaults.fields());
  cxxopts::Options options = make_options(page);
  add_field_options(options, request.fields());
  options.add_options()("model", "a model folder or a run folder instead", cxxopts::value<std::string>())(
      "all-layers", "every layer, also those that are alike")("out", "file to write to instead of standard output",
                                                              cxxopts::value<std::string>());
  const ParsedOptions parsed = parse_options(options, page, std::move(arguments));
  if (parsed.help) return ExitCode::kDone;
  refuse_positional(parsed, page);
  set_fields(parsed, request.fields());

  const ModelConfig config = parsed.has("model") ? config_of_folder(parsed, settings) : config_from(request, settings);
  const LanguageModel model(config, {.values = Values::none});
  const std::string text = describe(model, {.length = request.seq, .all_layers = parsed.has("all-layers")});
  if (parsed.has("out"))
    write_file_atomically(parsed.text("out"), text);
  else
    print_out("{}", text);
  return ExitCode::kDone;
}

}  // namespace

constinit const Command inspect_model{"model", "a model as a tree with shapes, roles, counts, operations", run_inspect_model};

}  // namespace blalm
