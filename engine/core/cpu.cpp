#include "engine/core/cpu.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "engine/core/cpu_quota.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

namespace blalm {
namespace {

std::string model_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name"))
      if (const auto colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return "unknown";
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

std::int64_t cache_bytes([[maybe_unused]] int name) {
  const long bytes = sysconf(name);
  return bytes > 0 ? bytes : 0;
}

#if defined(__x86_64__)
bool amx_usable() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned kAmxBf16 = 1U << 22, kAmxTile = 1U << 24;
  if ((d & kAmxBf16) == 0 || (d & kAmxTile) == 0) return false;
  // Linux keeps the tile registers off until a process asks for them.
  constexpr long kArchReqXcompPerm = 0x1023, kXfeatureTileData = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) == 0;
}
#endif

CpuInfo detect() {
  CpuInfo info;
  info.model = model_name();
  info.logical_cores = usable_cores();
  info.quota = cpu_quota().value_or(0);
  info.l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE);
  info.l3_bytes = cache_bytes(_SC_LEVEL3_CACHE_SIZE);
#if defined(__x86_64__)
  info.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  info.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  unsigned a = 0, b = 0, c = 0, d = 0;
  info.avx512_bf16 = info.avx512 && __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1U << 5)) != 0;
  info.amx_bf16 = info.avx512_bf16 && amx_usable();  // the tiles are rounded by AVX512-BF16
#endif
  return info;
}

}  // namespace

int CpuInfo::usable_threads() const {
  if (quota <= 0) return logical_cores;
  return std::clamp(static_cast<int>(std::min(quota, 1e6)), 1, logical_cores);
}

const CpuInfo& cpu() {
  static const CpuInfo info = detect();
  return info;
}

}  // namespace blalm
