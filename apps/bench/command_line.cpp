#include "apps/bench/command_line.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>

#include "engine/core/error.h"
#include "engine/io/atomic_file.h"
#include "engine/io/json_text.h"

namespace blalm::bench {

ParsedOptions parse(const BenchPage& bench, Workload& workload, std::vector<std::string> arguments) {
  HelpPage page = bench.page;
  add_settings(page, "Settings, which the options above have set before:", bench.settings);
  const std::vector<Setting> settings = take_flags(arguments, bench.settings);
  cxxopts::Options options = make_options(page);
  add_field_options(options, bench.fields);
  if (bench.more != nullptr) bench.more(options);
  options.add_options()("json", "FILE to write all figures to", cxxopts::value<std::string>());
  add_kernel_options(options);
  ParsedOptions parsed = parse_options(options, page, std::move(arguments));
  if (parsed.help) return parsed;
  refuse_positional(parsed, page);
  set_fields(parsed, bench.fields);
  if (parsed.has("json")) {  // what cannot be written is refused now, not after the work
    std::error_code ignored;
    if (std::filesystem::is_directory(parsed.text("json"), ignored))
      throw DataError(expected_got("--json", "a file to write", parsed.text("json") + ", a folder"));
    const AtomicFile can_be_written(parsed.text("json"));
  }
  workload.kernels = kernel_policy_from(parsed);
  workload.resolve(settings, bench.settings);
  return parsed;
}

void write_json(const ParsedOptions& parsed, const nlohmann::ordered_json& json) {
  if (parsed.has("json")) write_file_atomically(parsed.text("json"), json_text(json) + "\n");
}

}  // namespace blalm::bench
