// blalm tokenize: from text files to a folder of prepared data with its tokenizer.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>

#include "apps/common/command.h"
#include "apps/common/folders.h"
#include "apps/common/options.h"
#include "apps/common/output.h"
#include "apps/common/prepared_data.h"
#include "apps/common/settings.h"
#include "apps/common/signals.h"
#include "apps/tokenize/summary.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

struct Interrupted {};
void stop_if_asked() {
  if (StopSignals::requested()) throw Interrupted();
}

struct TokenizeRequest {
  DataConfig data;
  fs::path out;
  bool replace = false;
};

// What has an option of its own is told there; how blocks are read is a matter of training.
bool shapes_text(const Field& f) {
  return std::ranges::find(kTextKeys, f.key) != std::end(kTextKeys) && f.key != "vocab_size";
}

TokenizeRequest parse(const ParsedOptions& parsed, const std::vector<std::string>& input, const std::vector<std::string>& valid,
              const std::vector<Setting>& settings) {
  TokenizeRequest r;
  apply_settings(settings, r.data.fields());
  for (const Setting& s : settings)
    if (s.path == "data.seq" || s.path == "data.shuffle" || s.path == "data.seed")
      throw ConfigError(expected_got("blalm tokenize", "settings that shape prepared text", s.origin,
                                     s.path == "data.seed"
                                         ? "it is one of blalm train; data.split_seed draws the lines "
                                           "that are held out"
                                         : "it is one of blalm train"));
  const auto put = [](std::vector<std::string>& into, const std::vector<std::string>& values, const char* option) {
    if (values.empty()) return;
    if (!into.empty())
      throw ConfigError(expected_got(option, "the files once", "a setting in data that names some, too"));
    into = values;
  };
  put(r.data.train, input, "--input");
  put(r.data.valid, valid, "--valid");
  if (r.data.train.empty()) throw ConfigError(expected_got("blalm tokenize", "--input FILE...", "none", "see --help"));
  for (const std::string& entry : r.data.train)
    if (is_prepared(entry)) throw DataError(expected_got("--input", "files of text", "prepared data, '" + entry + "'"));
  if (!parsed.has("out")) throw ConfigError(expected_got("blalm tokenize", "--out DIR", "none", "see --help"));
  r.out = parsed.text("out");
  r.replace = parsed.has("replace");
  if (parsed.has("tokenizer")) r.data.tokenizer = parsed.text("tokenizer");
  if (parsed.has("vocab-size")) {
    if (!r.data.tokenizer.empty())
      throw ConfigError(
          expected_got("--vocab-size", "no --tokenizer beside it", "both", "the tokenizer has its own size"));
    r.data.fields().set("data.vocab_size", parsed.text("vocab-size"));
  }
  return r;
}

// The data of a run go with the run: whoever replaces them takes its text away from it.
void require_no_run(const fs::path& out) {
  const fs::path above = fs::weakly_canonical(fs::absolute(out)).parent_path();
  if (is_run(above))
    throw ConfigError(expected_got("--out", "a folder outside of runs",
                                   fmt::format("'{}' in the run '{}'", out.string(), above.string()),
                                   "to train on other text, begin another run"));
}

ExitCode prepare_folder(const TokenizeRequest& request) {
  require_no_run(request.out);
  const StopSignals signals;
  const auto start = std::chrono::steady_clock::now();
  try {
    Progress progress;
    progress.update("reading");
    const ReadyData data = ready_data(request.data, request.out, progress, stop_if_asked, request.replace);
    data.owned->keep();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    print_aside("{}", summary(data, request.data, seconds.count()));
    return ExitCode::kDone;
  } catch (const Interrupted&) {
    print_error("blalm: [tokenize] interrupted, '{}' {}\n", request.out.string(),
                fs::exists(request.out) ? "is as it was" : "was not made");
    return ExitCode::kInterrupted;
  }
}

ExitCode run_tokenize(int argc, char** argv) {
  DataConfig defaults;
  HelpPage page{"tokenize", "",
                "Prepares text for training: trains a tokenizer or takes one, and writes token shards, data.json and "
                "tokenizer.json into a folder.",
                "tokenize --input corpus/*.txt.xz --valid dev/*.txt --vocab-size 8k --out data/babylm"};
  add_settings(page, "Settings of the data, beside the options above:", defaults.fields(), shapes_text);
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::vector<Setting> settings = take_flags(arguments, defaults.fields());
  const std::vector<std::string> input = take_list(arguments, "input"), valid = take_list(arguments, "valid");
  cxxopts::Options options = make_options(page);
  const auto text = [] { return cxxopts::value<std::string>(); };
  options.add_options()(
      "input",
      "training text: files, also .jsonl, .xz, .gz, .zst, or folders of them; FILE:1M takes the first "
      "million words",
      text(),
      "FILE...")("valid", "validation text, in the same way (default: a share of the training lines)", text(),
                 "FILE...")("vocab-size", "tokens of the tokenizer that is trained (default: 8000)", text(), "N")(
      "tokenizer", "a tokenizer.json, or a folder that holds one, to use instead", text(), "FILE")(
      "out", "folder to write", text(), "DIR")("replace", "other data that is in that folder");
  const ParsedOptions parsed = parse_options(options, page, std::move(arguments));
  if (parsed.help) return ExitCode::kDone;
  refuse_positional(parsed, page);
  return prepare_folder(parse(parsed, input, valid, settings));
}

}  // namespace

constinit const Command tokenize_command{"tokenize", "prepare text for training, with a tokenizer", run_tokenize};

}  // namespace blalm
