// blalm inspect kernels: every kernel's list of implementations, and what runs on this machine.
#include <fmt/format.h>

#include "apps/common/options.h"
#include "apps/common/output.h"
#include "apps/inspect/subjects.h"
#include "engine/core/cpu.h"
#include "engine/core/parallel.h"
#include "engine/kernels/kernel.h"

namespace blalm {
namespace {

void print_kernels() {
  const CpuInfo& c = cpu();
  print_out("{}, {} threads; AVX2 {}, AVX-512 {}, AVX512-BF16 {}, AMX-BF16 {}\n\n", c.model, num_threads(),
            c.avx2 ? "yes" : "no", c.avx512 ? "yes" : "no", c.avx512_bf16 ? "yes" : "no", c.amx_bf16 ? "yes" : "no");
  print_out("{:<24} {:<24} {}\n", "kernel", "implementation", "on this machine");
  for (const KernelBase* kernel : all_kernels()) {
    std::string_view name = kernel->name();
    for (const auto& entry : kernel->entries()) {
      const Reason reason = entry.unavailable();
      print_out("{:<24} {:<24} {}\n", name, entry.name,
                reason == nullptr ? "runs" : fmt::format("declines: {}", reason));
      name = "";
    }
  }
  print_out(
      "\nThe first line of a kernel that accepts its arguments runs; --kernel KERNEL=IMPLEMENTATION forces one.\n");
}

ExitCode run_inspect_kernels(int argc, char** argv) {
  const HelpPage page{"inspect kernels", "",
                      "Lists every kernel's implementations, and why some cannot run on this machine.",
                      "inspect kernels"};
  cxxopts::Options options = make_options(page);
  const ParsedOptions parsed = parse_options(options, page, argc, argv);
  if (parsed.help) return ExitCode::kDone;
  refuse_positional(parsed, page);
  print_kernels();
  return ExitCode::kDone;
}

}  // namespace

constinit const Command inspect_kernels{"kernels", "every kernel's implementations, and which run here", run_inspect_kernels};

}  // namespace blalm
