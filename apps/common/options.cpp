#include "blalm/apps/common/options.h"

#include <fmt/format.h>

#include "blalm/core/error.h"
#include "blalm/core/fields.h"

namespace blalm {
namespace {

std::vector<std::string> names_of(const cxxopts::Options& options) {
  std::vector<std::string> names;
  for (const std::string& group : options.groups())
    for (const auto& o : options.group_help(group).options)
      for (const std::string& name : o.l) names.push_back(name);
  return names;
}

// "[blalm check] expected a known option, got --tolerence (did you mean --tolerance?)"
[[noreturn]] void refuse(const cxxopts::Options& options, const std::string& command, std::string_view what, std::string_view name) {
  const std::string near = nearest(name, names_of(options));
  throw ConfigError(expected_got("blalm " + command, what, fmt::format("--{}", name),
                                 near.empty() || near == name ? "see --help" : "did you mean --" + near + "?"));
}

}  // namespace

cxxopts::Options make_options(const HelpPage& page) {
  cxxopts::Options options("blalm " + page.command, page.description);
  options.add_options()("h,help", "show this page");
  return options;
}

ParsedOptions parse_options(cxxopts::Options& options, const HelpPage& page, int argc, char** argv) {
  options.custom_help("[OPTIONS]").positional_help(page.arguments).set_width(100);
  options.allow_unrecognised_options();
  ParsedOptions parsed;
  try {
    parsed.values = options.parse(argc, argv);
  } catch (const cxxopts::exceptions::exception& e) {
    throw ConfigError(fmt::format("[blalm {}] {} (see --help)", page.command, e.what()));
  }
  if (parsed.values.count("help") > 0) {
    fmt::print("{}\n\nexample: blalm {}\n", options.help(), page.example);
    parsed.help = true;
    return parsed;
  }
  for (const std::string& rest : parsed.values.unmatched()) {
    if (rest.starts_with("--")) refuse(options, page.command, "a known option", rest.substr(2, rest.find('=') - 2));
    if (rest.size() > 1 && rest.starts_with("-"))
      throw ConfigError(expected_got("blalm " + page.command, "a known option", rest, "see --help"));
    parsed.positional.push_back(rest);
  }
  return parsed;
}

void add_kernel_options(cxxopts::Options& options) {
  options.add_options("Kernels")("backend", "cpu, onednn or auto", cxxopts::value<std::string>()->default_value("auto"))(
      "kernel", "force an implementation, e.g. matmul=eigen ('blalm inspect kernels' lists them)",
      cxxopts::value<std::vector<std::string>>())("composed", "run fused operations as compositions of simple ones");
}

KernelPolicy kernel_policy_from(const cxxopts::ParseResult& values) {
  KernelPolicy policy;
  policy.backend = parse_backend(values["backend"].as<std::string>());
  policy.composed = values.count("composed") > 0;
  if (values.count("kernel") > 0)
    for (const std::string& choice : values["kernel"].as<std::vector<std::string>>()) {
      const auto equals = choice.find('=');
      if (equals == std::string::npos) throw ConfigError(expected_got("kernel", "KERNEL=IMPLEMENTATION", choice, "e.g. matmul=eigen"));
      policy.forced.emplace_back(choice.substr(0, equals), choice.substr(equals + 1));
    }
  return policy;
}

}  // namespace blalm
