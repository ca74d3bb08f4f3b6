// blalm generate: text from a trained model.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "apps/common/command.h"
#include "apps/common/folders.h"
#include "apps/common/generation/generator.h"
#include "apps/common/generation/prompt.h"
#include "apps/common/options.h"
#include "apps/common/output.h"
#include "apps/common/precision.h"
#include "apps/common/progress.h"
#include "apps/common/signals.h"
#include "apps/generate/ordered_output.h"
#include "data/text/character_class.h"
#include "engine/core/error.h"
#include "engine/core/making.h"
#include "engine/core/parallel.h"
#include "models/model_folder.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

struct GenerateRequest {
  GenerateOptions generate;
  std::vector<std::string> prompts;
  fs::path model;
  std::int64_t threads = 0;
  PrecisionChoice precision = PrecisionChoice::f32;
  KernelPolicy kernels;
  bool log_probabilities = false, stream = true;
};

// A text in one line: line breaks, other control characters and parts of characters as escapes.
std::string in_quotes(std::string_view text) {
  std::string escaped;
  for (const char c : text) escaped += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return '"' + utf8::printable(escaped) + '"';
}

std::vector<std::string> prompts_from(const ParsedOptions& parsed) {
  if (std::ranges::count(parsed.texts("prompt"), "-") > 1)
    throw ConfigError(expected_got("--prompt", "standard input (-) once", "more than once"));
  std::vector<std::string> prompts;
  for (const cxxopts::KeyValue& given : parsed.values.arguments()) {
    if (given.key() == "prompt-file") prompts.push_back(prompt_from_file(given.value()));
    if (given.key() == "prompt") prompts.push_back(given.value() == "-" ? prompt_from_standard_input() : given.value());
  }
  if (prompts.empty())
    throw ConfigError(
        expected_got("blalm generate", "one or more --prompt TEXT or --prompt-file FILE", "none", "see --help"));
  return prompts;
}

Fields machine_fields(GenerateRequest& r) {
  Fields f;
  add_precision(f, r.precision);
  f.add("threads", r.threads, "of the computation; 0: all processors").at_least(0).at_most(1024);
  return f;
}

cxxopts::Options options_of(GenerateRequest& r, const HelpPage& page) {
  const auto text = [] { return cxxopts::value<std::string>(); };
  cxxopts::Options options = make_options(page);
  options.add_options()("model", "a model folder, or a run folder for its last checkpoint", text(), "DIR")(
      "prompt", "what to continue, once for each text; - reads one from standard input", text(), "TEXT")(
      "prompt-file", "a file with a text to continue, read like training text: plain, .xz, .gz or .zst", text(),
      "FILE");
  add_field_options(options, r.generate.fields());
  options.add_options()("stop", "ends the text and is left out; may be given several times", text(), "TEXT")(
      "ignore-end", "go on where the model would end the text")(
      "logprobs",
      "print a line a token instead of the text: \"token\" and its natural log-probability, at temperature "
      "1 and without filters")("no-stream", "print each text when it is complete");
  add_field_options(options, machine_fields(r));
  add_kernel_options(options);
  return options;
}

void fill(GenerateRequest& r, const ParsedOptions& parsed) {
  set_fields(parsed, r.generate.fields());
  set_fields(parsed, machine_fields(r));
  if (!parsed.has("model")) throw ConfigError(expected_got("blalm generate", "--model DIR", "none", "see --help"));
  r.model = parsed.text("model");
  r.kernels = kernel_policy_from(parsed);
  r.generate.stop = parsed.texts("stop");
  if (std::ranges::count(r.generate.stop, "") > 0) throw ConfigError(expected_got("--stop", "a text", "an empty one"));
  r.generate.ignore_end = parsed.has("ignore-end");
  r.log_probabilities = parsed.has("logprobs");
  r.stream = !parsed.has("no-stream");
  r.prompts = prompts_from(parsed);
}

// The line above a text where there are several, and the prompt itself.
std::string head(const GenerateRequest& r, std::size_t i) {
  std::string text = r.prompts.size() > 1 ? fmt::format("{}[{}/{}]\n", i > 0 ? "\n" : "", i + 1, r.prompts.size()) : "";
  return text + (r.log_probabilities ? in_quotes(prompt_text(r.prompts[i])) + "\n" : shown_prompt(r.prompts[i]));
}

// "wrote 60 tokens in 0.2 s, 300 tokens/s"
std::string rate(const char* what, std::int64_t tokens, double seconds) {
  return fmt::format("{} {} token{} in {:.2f} s, {:.0f} tokens/s", what, tokens, tokens == 1 ? "" : "s", seconds,
                     static_cast<double>(tokens) / std::max(seconds, 1e-9));
}

ExitCode print_texts(GenerateRequest& r) {
  const StopSignals signals;
  const KernelChoice choice(r.kernels);
  const fs::path folder = find_model_folder(r.model);
  const Tokenizer tokenizer = making("the tokenizer", [&] { return Tokenizer::load(folder / "tokenizer.json"); });
  const std::unique_ptr<LanguageModel> model =
      making(fmt::format("the model '{}'", folder.string()), [&] { return load_model(folder); });
  model->run.precision = precision_of(r.precision);

  // The bytes that a model writes are data in a file or a pipe. A terminal would obey some of them.
  const bool shown = isatty(STDOUT_FILENO) != 0;
  OrderedOutput output(r.prompts.size(), r.stream, [&](std::string_view text) {
    write_out(shown ? std::string_view(utf8::printable_lines(text)) : text);
  });
  r.generate.stop_asked = StopSignals::requested;
  for (std::size_t i = 0; i < r.prompts.size(); ++i) output.add(i, head(r, i));
  GenerateSpeed speed;
  const auto show = [&](const TokenEvent& e) {
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
  };
  const std::vector<GeneratedText> texts = generate(*model, tokenizer, r.prompts, r.generate, show, &speed);
  bool interrupted = false;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].ending != Ending::interrupted) continue;
    interrupted = true;
    if (!r.log_probabilities) output.add(i, "\n");
    output.end(i);
  }
  print_error("{}{}; {}\n", interrupted ? "interrupted: " : "", rate("read", speed.read, speed.reading),
              rate("wrote", speed.written, speed.writing));
  if (interrupted) return ExitCode::kInterrupted;
  expect_forced_kernels_ran(r.kernels);
  return ExitCode::kDone;
}

ExitCode run_generate(int argc, char** argv) {
  const HelpPage page{
      "generate", "",
      "Continues prompts with text from a model, token by token. A text ends where the model ends it, at "
      "a --stop or after --max-tokens. Before each prompt stands what began a text in the model's training, as its "
      "config.json tells; an empty prompt lets the model begin. Of several prompts, each text comes under a line "
      "[1/3], [2/3], ... The last line, on standard "
      "error, tells the speed: of reading the prompts, and of writing after them.",
      "generate --model runs/first --prompt \"Once upon a time\" --temperature 0.7 --max-tokens 60"};
  GenerateRequest request;
  cxxopts::Options options = options_of(request, page);
  const ParsedOptions parsed = parse_options(options, page, argc, argv);
  if (parsed.help) return ExitCode::kDone;
  refuse_positional(parsed, page);
  fill(request, parsed);
  if (request.threads > 0) set_num_threads(static_cast<int>(request.threads));
  return print_texts(request);
}

}  // namespace

constinit const Command generate_command{"generate", "continue prompts with text from a model", run_generate};

}  // namespace blalm
