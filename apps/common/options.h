// Command lines: cxxopts with our help page and our errors.
#pragma once

#include <cxxopts.hpp>
#include <string>
#include <vector>

#include "blalm/kernels/kernel.h"

namespace blalm {

struct HelpPage {
  std::string command;      // "check"
  std::string arguments;    // "FILE..."
  std::string description;  // one or two sentences
  std::string example;      // one command line, without "blalm "
};

// An Options object for a command with --help added.
cxxopts::Options make_options(const HelpPage& page);

// Parses. Prints the page and returns nothing usable (help asked for: `help` is set) or throws ConfigError: an unknown
// option comes with the nearest known one. Positional arguments land in `positional`.
struct ParsedOptions {
  cxxopts::ParseResult values;
  std::vector<std::string> positional;
  bool help = false;
};
ParsedOptions parse_options(cxxopts::Options& options, const HelpPage& page, int argc, char** argv);

// The options --backend, --kernel and --composed that choose kernels, and the policy they ask for.
void add_kernel_options(cxxopts::Options& options);
KernelPolicy kernel_policy_from(const cxxopts::ParseResult& values);

}  // namespace blalm
