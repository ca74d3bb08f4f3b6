// What the processor offers, asked once at run time.
#pragma once

#include <cstdint>
#include <string>

namespace blalm {

struct CpuInfo {
  std::string model;          // "Intel(R) Xeon(R) Processor"
  int logical_cores = 1;      // that this process may run on
  double quota = 0;           // processors' worth of time that it is granted (cpu_quota.h); 0: no limit
  std::int64_t l2_bytes = 0;  // a core; 0 when unknown
  std::int64_t l3_bytes = 0;
  bool avx2 = false;    // with FMA
  bool avx512 = false;  // F, BW, DQ, VL
  bool avx512_bf16 = false;
  bool amx_bf16 = false;  // the instructions exist and the kernel lets this process use them

  // Threads that can run at once: the processors, or the whole ones of the quota where it is smaller; at least 1.
  int usable_threads() const;
  bool multiplies_bf16() const { return amx_bf16 || avx512_bf16; }  // faster than f32
};

const CpuInfo& cpu();

}  // namespace blalm
