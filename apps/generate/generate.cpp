// blalm generate: text from a trained model.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <iterator>

#include "blalm/apps/common/command.h"
#include "blalm/apps/common/folders.h"
#include "blalm/apps/common/options.h"
#include "blalm/apps/common/progress.h"
#include "blalm/apps/common/signals.h"
#include "blalm/apps/generate/generator.h"
#include "blalm/apps/generate/ordered_output.h"
#include "blalm/core/error.h"
#include "blalm/core/parallel.h"
#include "blalm/models/model_folder.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

struct Request {
  GenerateOptions generate;
  std::vector<std::string> prompts;
  fs::path model;
  std::int64_t threads = 0;
  Precision precision;
  bool log_probabilities = false, stream = true;
};

// A token in one line: line breaks, other control characters and a part of a character as escapes.
std::string in_quotes(std::string_view token) {
  std::string text = "\"";
  for (const char c : token) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n')
      text += "\\n";
    else if (c == '"' || c == '\\')
      text += {'\\', c};
    else if (byte < 0x20 || byte == 0x7f)
      text += fmt::format("\\x{:02x}", byte);
    else
      text += c;
  }
  return text + "\"";
}

std::string standard_input() {
  std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

std::vector<std::string> prompts_from(const ParsedOptions& parsed) {
  std::vector<std::string> prompts = parsed.texts("prompt");
  if (prompts.empty())
    throw ConfigError(expected_got("blalm generate", "one or more --prompt TEXT", "none", "see --help"));
  if (std::ranges::count(prompts, "-") > 1)
    throw ConfigError(expected_got("--prompt", "standard input (-) once", "more than once"));
  for (std::string& prompt : prompts)
    if (prompt == "-") prompt = standard_input();
  return prompts;
}

Fields thread_field(Request& r) {
  Fields f;
  f.add("threads", r.threads, "of the computation; 0: all processors").at_least(0).at_most(1024);
  return f;
}

Precision parse_precision(const std::string& name) {
  if (name == "f32") return Precision::f32();
  if (name == "bf16") return Precision::bf16();
  throw ConfigError(expected_got("precision", "f32 or bf16", name));
}

cxxopts::Options options_of(Request& r, const HelpPage& page) {
  cxxopts::Options options = make_options(page);
  options.add_options()("model", "DIR: a model folder, or a run folder for its last checkpoint",
                        cxxopts::value<std::string>())(
      "prompt", "TEXT to continue, as often as there are texts; - reads one from standard input",
      cxxopts::value<std::string>());
  add_field_options(options, r.generate.fields());
  options.add_options()("stop", "TEXT that ends the text and is left out; may be given several times",
                        cxxopts::value<std::string>())("ignore-end", "go on where the model would end the text")(
      "logprobs", "print each token and its log-probability")("no-stream", "print each text when it is complete")(
      "precision", "f32 or bf16", cxxopts::value<std::string>()->default_value("f32"));
  add_field_options(options, thread_field(r));
  return options;
}

void fill(Request& r, const ParsedOptions& parsed) {
  set_fields(parsed, r.generate.fields());
  set_fields(parsed, thread_field(r));
  if (!parsed.has("model")) throw ConfigError(expected_got("blalm generate", "--model DIR", "none", "see --help"));
  r.model = parsed.text("model");
  r.precision = parse_precision(parsed.values["precision"].as<std::string>());
  r.generate.stop = parsed.texts("stop");
  if (std::ranges::count(r.generate.stop, "") > 0) throw ConfigError(expected_got("--stop", "a text", "an empty one"));
  r.generate.ignore_end = parsed.has("ignore-end");
  r.log_probabilities = parsed.has("logprobs");
  r.stream = !parsed.has("no-stream");
  r.prompts = prompts_from(parsed);
}

// The line above a text where there are several, and the prompt itself.
std::string head(const Request& r, std::size_t i) {
  std::string text = r.prompts.size() > 1 ? fmt::format("{}[{}/{}]\n", i > 0 ? "\n" : "", i + 1, r.prompts.size()) : "";
  return text + (r.log_probabilities ? in_quotes(r.prompts[i]) + "\n" : r.prompts[i]);
}

ExitCode print_texts(const Request& r) {
  const fs::path folder = find_model_folder(r.model);
  const Tokenizer tokenizer = Tokenizer::load(folder / "tokenizer.json");
  const std::unique_ptr<LanguageModel> model = load_model(folder);
  model->run.precision = r.precision;

  OrderedOutput output(r.prompts.size(), r.stream, [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  });
  for (std::size_t i = 0; i < r.prompts.size(); ++i) output.add(i, head(r, i));
  const StopSignals signals;
  const auto start = std::chrono::steady_clock::now();
  const std::vector<GeneratedText> texts = generate(*model, tokenizer, r.prompts, r.generate, [&](const TokenEvent& e) {
    if (r.log_probabilities)
      output.add(e.prompt, fmt::format("{:<20} {:>9.4f}\n",
                                       in_quotes(tokenizer.is_special(e.id) ? tokenizer.token(e.id)
                                                                            : tokenizer.token_bytes(e.id)),
                                       e.log_probability));
    else
      output.add(e.prompt, e.text);
    if (e.ending != Ending::not_yet) {
      if (!r.log_probabilities) output.add(e.prompt, "\n");
      output.end(e.prompt);
    }
    return !StopSignals::requested();
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::int64_t tokens = 0;
  bool interrupted = false;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    tokens += texts[i].tokens;
    if (texts[i].ending != Ending::interrupted) continue;
    interrupted = true;
    output.add(i, "\n");
    output.end(i);
  }
  fmt::print(stderr, "{} tokens in {}, {:.0f} tokens/s\n", tokens, human_time(seconds.count()),
             static_cast<double>(tokens) / std::max(seconds.count(), 1e-9));
  return interrupted ? ExitCode::kInterrupted : ExitCode::kDone;
}

ExitCode run(int argc, char** argv) {
  const HelpPage page{
      "generate", "",
      "Continues prompts with text from a model, token by token. A text ends where the model ends it, at "
      "a --stop or after --max-tokens. <s> stands before each prompt if the tokenizer has it. The last "
      "line, on standard error, tells the speed.",
      "generate --model runs/first --prompt \"Once upon a time\" --temperature 0.7 --max-tokens 60"};
  Request request;
  cxxopts::Options options = options_of(request, page);
  const ParsedOptions parsed = parse_options(options, page, argc, argv);
  if (parsed.help) return ExitCode::kDone;
  refuse_positional(parsed, page);
  fill(request, parsed);
  if (request.threads > 0) set_num_threads(static_cast<int>(request.threads));
  return print_texts(request);
}

}  // namespace

constinit const Command generate_command{"generate", "continue prompts with text from a model", run};

}  // namespace blalm
