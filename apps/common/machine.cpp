#include "apps/common/machine.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/core/cpu.h"
#include "engine/kernels/onednn/best_matmul.h"

namespace blalm {
namespace {

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang++ {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#elif defined(__GNUC__)
  return fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#else
  return "unknown";
#endif
}

const char* vectors(const CpuInfo& c) {
  if (c.amx_bf16) return "AMX-BF16";
  if (c.avx512_bf16) return "AVX512-BF16";
  if (c.avx512) return "AVX-512";
  return c.avx2 ? "AVX2" : "no AVX2";
}

// "Debian GNU/Linux 12 (bookworm), Linux 6.1.0-18-amd64 x86_64"
std::string operating_system() {
  std::string name;
  std::ifstream release("/etc/os-release");
  for (std::string line; std::getline(release, line);)
    if (line.starts_with("PRETTY_NAME=")) name = line.substr(line.find('=') + 1);
  std::erase(name, '"');
  utsname kernel{};
  if (uname(&kernel) != 0) return name;
  return fmt::format("{}{}{} {} {}", name, name.empty() ? "" : ", ", kernel.sysname, kernel.release, kernel.machine);
}

// What decides how the threads of the team wait for work.
nlohmann::ordered_json waiting() {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_PROC_BIND", "OMP_NUM_THREADS"})
    if (const char* value = std::getenv(name)) j[name] = value;
  return j;
}

}  // namespace

std::int64_t memory_bytes() { return std::int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE); }

std::string machine_line() {
  const CpuInfo& c = cpu();
  const std::string onednn = kernels::onednn::version();
  const std::string quota = c.quota > 0 ? fmt::format(" (time of {:.3g})", c.quota) : "";
  return fmt::format("{}, {} processors{}, {}; {}; {}", c.model, c.logical_cores, quota, vectors(c), compiler(),
                     onednn.empty() ? "without oneDNN" : "oneDNN " + onednn);
}

nlohmann::ordered_json machine_json() {
  const CpuInfo& c = cpu();
  const std::string onednn = kernels::onednn::version();
  return {{"cpu", c.model},
          {"processors", c.logical_cores},
          {"quota", c.quota > 0 ? nlohmann::ordered_json(c.quota) : nlohmann::ordered_json()},
          {"l2_bytes", c.l2_bytes},
          {"l3_bytes", c.l3_bytes},
          {"vectors", vectors(c)},
          {"compiler", compiler()},
          {"os", operating_system()},
          {"memory_bytes", memory_bytes()},
          {"eigen", BLALM_EIGEN_VERSION},
          {"onednn", onednn.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(onednn)},
          {"blalm", BLALM_VERSION},
          {"environment", waiting()}};
}

std::int64_t peak_rss_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    std::int64_t kilobytes = 0;
    status >> kilobytes;
    return kilobytes * 1024;
  }
  return 0;
}

}  // namespace blalm
