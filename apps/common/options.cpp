#include "apps/common/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "apps/common/output.h"
#include "apps/common/wrap.h"
#include "engine/core/error.h"
#include "engine/kernels/onednn/backend.h"

namespace blalm {
namespace {

std::vector<std::string> names_of(const cxxopts::Options& options) {
  std::vector<std::string> names;
  for (const std::string& group : options.groups())
    for (const auto& o : options.group_help(group).options)
      for (const std::string& name : o.l) names.push_back(name);
  return names;
}

std::string where(const HelpPage& page) { return "blalm " + page.command; }

// The settings that end with this name, with _ or - in it: --lr means --optim.lr.
std::vector<std::string> settings_that_end_with(std::string name, const HelpPage& page) {
  std::ranges::replace(name, '-', '_');
  std::vector<std::string> found;
  for (const std::string& path : page.paths)
    if (path.substr(path.rfind('.') + 1) == name) found.push_back("--" + path);
  return found;
}

// "[blalm check] expected a known option, got --tolerence (did you mean --tolerance?)"
[[noreturn]] void refuse(const cxxopts::Options& options, const HelpPage& page, std::string_view name) {
  std::vector<std::string> meant = settings_that_end_with(std::string(name), page);
  if (meant.empty()) {
    std::vector<std::string> known = names_of(options);
    known.insert(known.end(), page.paths.begin(), page.paths.end());
    if (const std::string near = nearest(name, known); !near.empty() && near != name) meant = {"--" + near};
  }
  throw ConfigError(
      expected_got(where(page), "a known option", fmt::format("--{}", name),
                   meant.empty() ? "see --help" : fmt::format("did you mean {}?", fmt::join(meant, " or "))));
}

// What the parser's message puts in quotes; the rest of its sentence is not ours.
std::string name_in(std::string_view message) {
  constexpr std::string_view kOpens = "\u2018", kCloses = "\u2019";
  const std::size_t begin = message.find(kOpens), end = message.find(kCloses);
  if (begin == message.npos || end == message.npos || end < begin) return "";
  return std::string(message.substr(begin + kOpens.size(), end - begin - kOpens.size()));
}

// Whether the option has a value, and not one that is itself made of options.
bool takes_value(const cxxopts::Options& options, std::string_view name) {
  for (const std::string& group : options.groups())
    for (const cxxopts::HelpOptionDetails& o : options.group_help(group).options)
      if (!o.is_boolean && o.arg_help.find("OPTIONS") == std::string::npos && std::ranges::find(o.l, name) != o.l.end())
        return true;
  return false;
}

void print_help(const cxxopts::Options& options, const HelpPage& page) {
  print_out("{}\n", options.help());
  if (!page.settings.empty()) print_out("{}\n", page.settings);
  print_out("example: blalm {}\n", page.example);
}

}  // namespace

void refuse_option_as_value(std::string_view option, std::string_view value) {
  if (value.size() <= 2 || !value.starts_with("--")) return;
  throw ConfigError(expected_got(option, "a value", fmt::format("the option {}", value.substr(0, value.find('='))),
                                 fmt::format("{}={} where that is the value", option, value.substr(0, value.find('=')))));
}

std::string ParsedOptions::text(const std::string& name) const {
  const std::vector<std::string> all = texts(name);
  if (all.empty() || all.back().empty()) throw ConfigError(expected_got("--" + name, "a value", "none"));
  return all.back();
}

std::vector<std::string> ParsedOptions::texts(const std::string& name) const {
  std::vector<std::string> all;
  for (const cxxopts::KeyValue& given : values.arguments())
    if (given.key() == name) all.push_back(given.value());
  return all;
}

cxxopts::Options make_options(const HelpPage& page) {
  cxxopts::Options options("blalm " + page.command, wrapped(page.description) + "\n");
  options.add_options()("h,help", "show this page");
  return options;
}

ParsedOptions parse_options(cxxopts::Options& options, const HelpPage& page, int argc, char** argv) {
  options.custom_help(page.arguments.empty() ? "[OPTIONS]" : "[OPTIONS] " + page.arguments).set_width(kHelpWidth);
  options.allow_unrecognised_options();
  for (int i = 1; i + 1 < argc; ++i) {
    const std::string_view option = argv[i];
    if (option.starts_with("--") && takes_value(options, option.substr(2))) refuse_option_as_value(option, argv[i + 1]);
  }
  ParsedOptions parsed;
  try {
    parsed.values = options.parse(argc, argv);
  } catch (const cxxopts::exceptions::missing_argument& e) {
    throw ConfigError(expected_got("--" + name_in(e.what()), "a value", "the end of the command line"));
  } catch (const cxxopts::exceptions::exception& e) {
    throw ConfigError(
        expected_got(where(page), "options as --name VALUE", "'" + name_in(e.what()) + "'", "see --help"));
  }
  if (parsed.has("help")) {
    print_help(options, page);
    parsed.help = true;
    return parsed;
  }
  for (const std::string& rest : parsed.values.unmatched()) {
    if (rest.starts_with("--")) refuse(options, page, rest.substr(2, rest.find('=') - 2));
    if (rest.size() > 1 && rest.starts_with("-"))
      throw ConfigError(expected_got(where(page), "a known option", rest, "see --help"));
    parsed.positional.push_back(rest);
  }
  return parsed;
}

ParsedOptions parse_options(cxxopts::Options& options, const HelpPage& page, std::vector<std::string> arguments) {
  std::string program = where(page);
  std::vector<char*> pointers = {program.data()};
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return parse_options(options, page, static_cast<int>(pointers.size()), pointers.data());
}

void refuse_positional(const ParsedOptions& parsed, const HelpPage& page) {
  if (!parsed.positional.empty())
    throw ConfigError(expected_got(where(page), "options only", parsed.positional[0], "see --help"));
}

void give_value(std::vector<std::string>& arguments, const std::string& name, const std::string& value) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const bool alone =
        i + 1 == arguments.size() || arguments[i + 1].starts_with("-") || arguments[i + 1].ends_with(".toml");
    if (arguments[i] == "--" + name && alone) arguments[i] += "=" + value;
  }
}

std::vector<std::string> take_list(std::vector<std::string>& arguments, const std::string& name) {
  std::vector<std::string> values, rest;
  const std::string option = "--" + name, with_value = option + "=";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].starts_with(with_value)) {
      values.push_back(arguments[i].substr(with_value.size()));
    } else if (arguments[i] == option) {
      const std::size_t before = values.size();
      while (i + 1 < arguments.size() && !arguments[i + 1].starts_with("-")) values.push_back(arguments[++i]);
      if (values.size() == before) throw ConfigError(expected_got(option, "one or more values", "none"));
    } else {
      rest.push_back(arguments[i]);
    }
  }
  arguments = std::move(rest);
  return values;
}

void add_field_options(cxxopts::Options& options, const Fields& fields) {
  for (const Field& f : fields.list())
    options.add_options()(f.path(), f.help, cxxopts::value<std::string>()->default_value(f.get()),
                          f.kind == FieldKind::integer ? "N" : "X");
}

void set_fields(const ParsedOptions& parsed, const Fields& fields) {
  for (const Field& f : fields.list())
    for (const std::string& value : parsed.texts(f.path())) f.set(value);
}

void add_kernel_options(cxxopts::Options& options) {
  options.add_options("Kernel")("backend", "cpu, onednn or auto", cxxopts::value<std::string>()->default_value("auto"),
                                "NAME")(
      "kernel", "the implementation to force, e.g. matmul=eigen ('blalm inspect kernels' lists them)",
      cxxopts::value<std::vector<std::string>>(),
      "KERNEL=NAME")("composed", "run fused operations as compositions of simple ones");
}

KernelPolicy kernel_policy_from(const ParsedOptions& parsed) {
  KernelPolicy policy;
  policy.backend = parse_backend(parsed.values["backend"].as<std::string>());
  const Reason absent = kernels::onednn::unavailable();
  if (policy.backend == Backend::onednn && absent != nullptr)
    throw ConfigError(expected_got("backend", "auto or cpu", "onednn", absent));
  policy.composed = parsed.has("composed");
  for (const std::string& choice : parsed.texts("kernel")) {
    const auto equals = choice.find('=');
    if (equals == std::string::npos)
      throw ConfigError(expected_got("kernel", "KERNEL=IMPLEMENTATION", choice, "e.g. matmul=eigen"));
    const std::string kernel = choice.substr(0, equals);
    std::erase_if(policy.forced, [&](const auto& earlier) { return earlier.first == kernel; });  // the last one counts
    policy.forced.emplace_back(kernel, choice.substr(equals + 1));
  }
  check_kernel_policy(policy);
  return policy;
}

void expect_forced_kernels_ran(const KernelPolicy& policy) {
  if (const std::vector<std::string> idle = forced_but_idle(policy); !idle.empty())
    throw ConfigError(expected_got("kernel", fmt::format("work that runs {}", fmt::join(idle, " and ")), "none",
                                   "--kernel had no effect"));
}

}  // namespace blalm
