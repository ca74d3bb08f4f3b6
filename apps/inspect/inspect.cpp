// blalm inspect WHAT: looks at parts of the engine. So far: kernels.
#include <fmt/format.h>

#include "blalm/apps/common/command.h"
#include "blalm/apps/common/options.h"
#include "blalm/core/cpu.h"
#include "blalm/core/parallel.h"
#include "blalm/kernels/registry.h"

namespace blalm {
namespace {

void print_kernels() {
  const CpuInfo& c = cpu();
  fmt::print("{}, {} threads; AVX2 {}, AVX-512 {}, AVX512-BF16 {}, AMX-BF16 {}\n\n", c.model, num_threads(), c.avx2 ? "yes" : "no",
             c.avx512 ? "yes" : "no", c.avx512_bf16 ? "yes" : "no", c.amx_bf16 ? "yes" : "no");
  fmt::print("{:<24} {:<24} {}\n", "kernel", "implementation", "on this machine");
  for (const KernelBase* kernel : all_kernels()) {
    std::string_view name = kernel->name();
    for (const auto& entry : kernel->entries()) {
      const Reason reason = entry.unavailable();
      fmt::print("{:<24} {:<24} {}\n", name, entry.name, reason == nullptr ? "runs" : fmt::format("declines: {}", reason));
      name = "";
    }
  }
  fmt::print("\nThe first line of a kernel that accepts its arguments runs; --kernel KERNEL=IMPLEMENTATION forces one.\n");
}

ExitCode run(int argc, char** argv) {
  const HelpPage page{"inspect", "kernels", "Shows what the program is made of. kernels: every kernel's list of implementations and why some cannot run here.",
                      "inspect kernels"};
  cxxopts::Options options = make_options(page);
  const ParsedOptions parsed = parse_options(options, page, argc, argv);
  if (parsed.help) return ExitCode::kDone;
  if (parsed.positional != std::vector<std::string>{"kernels"})
    throw ConfigError(expected_got("blalm inspect", "kernels", parsed.positional.empty() ? "nothing" : parsed.positional[0]));
  print_kernels();
  return ExitCode::kDone;
}

}  // namespace

constinit const Command inspect_command{"inspect", "look at kernels", run};

}  // namespace blalm
