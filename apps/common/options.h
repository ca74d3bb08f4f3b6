// Command lines: cxxopts with our help page and our errors.
#pragma once

#include <cxxopts.hpp>
#include <string>
#include <vector>

#include "engine/core/fields.h"
#include "engine/kernels/kernel.h"

namespace blalm {

struct HelpPage {
  std::string command;               // "check"
  std::string arguments;             // "FILE..."
  std::string description;           // one or two sentences
  std::string example;               // one command line, without "blalm "
  std::string settings{};            // what stands between the options and the example, as fields_help() gives it
  std::vector<std::string> paths{};  // of these settings, "optim.lr", for an unknown option
};

// An Options object for a command with --help added.
cxxopts::Options make_options(const HelpPage& page);

// Parses. Prints the page and returns nothing usable (help asked for: `help` is set) or throws ConfigError: an unknown
// option comes with the nearest known one. Positional arguments land in `positional`.
struct ParsedOptions {
  cxxopts::ParseResult values;
  std::vector<std::string> positional;
  bool help = false;

  bool has(const std::string& name) const { return values.count(name) > 0; }
  // The value of an option declared as text; the last one when it was given several times. ConfigError when it is empty
  // or not there.
  std::string text(const std::string& name) const;
  // All values of an option that may be given several times, as they were typed: cxxopts would split them at commas.
  std::vector<std::string> texts(const std::string& name) const;
};
ParsedOptions parse_options(cxxopts::Options& options, const HelpPage& page, int argc, char** argv);
// The same for what is left of a command line, without the command's name.
ParsedOptions parse_options(cxxopts::Options& options, const HelpPage& page, std::vector<std::string> arguments);
// ConfigError when there are positional arguments.
void refuse_positional(const ParsedOptions& parsed, const HelpPage& page);

// ConfigError when what follows an option as its value is an option itself: "--run --resume".
void refuse_option_as_value(std::string_view option, std::string_view value);

// Gives an option that may stand alone its value: "--resume" becomes "--resume=auto" where no value follows it, that
// is, another option, a file CONFIG.toml or nothing.
void give_value(std::vector<std::string>& arguments, const std::string& name, const std::string& value);

// Takes an option with a list of values, "--input A B C" or "--input=A", out of the arguments: all that follow it up to
// the next option. ConfigError when nothing follows.
std::vector<std::string> take_list(std::vector<std::string>& arguments, const std::string& name);

// Fields of a struct as options "--KEY VALUE" with help and default; set_fields puts in those that were given.
void add_field_options(cxxopts::Options& options, const Fields& fields);
void set_fields(const ParsedOptions& parsed, const Fields& fields);

// The options --backend, --kernel and --composed that choose kernels, and the policy they ask for. ConfigError for a
// backend that this build does not have, and as check_kernel_policy() says.
void add_kernel_options(cxxopts::Options& options);
KernelPolicy kernel_policy_from(const ParsedOptions& parsed);
// For the end of a command: ConfigError when an implementation that --kernel forces has run nowhere in it.
void expect_forced_kernels_ran(const KernelPolicy& policy);

}  // namespace blalm
