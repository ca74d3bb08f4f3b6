// What the command lines of all benchmarks share.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/bench/workload.h"
#include "apps/common/options.h"

namespace blalm::bench {

struct BenchPage {
  HelpPage page;    // its settings are filled in
  Fields fields;    // options with a value; they refer to the workload that is parsed into
  Fields settings;  // [model], and [optim] where it is used; likewise
  // Adds the options that are no fields; may be null.
  void (*more)(cxxopts::Options& options) = nullptr;
};

// Parses `arguments`, which come without the command's name, and resolves the workload. When help was asked for it is
// printed and nothing else is done. Adds --json and the kernels' options.
ParsedOptions parse(const BenchPage& page, Workload& workload, std::vector<std::string> arguments);

// Writes what --json asks for, if it does.
void write_json(const ParsedOptions& parsed, const nlohmann::ordered_json& json);

}  // namespace blalm::bench
