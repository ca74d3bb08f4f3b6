#include "apps/common/thread_waiting.h"

#include <unistd.h>

#include <array>
#include <cstdlib>

namespace blalm {

void wait_briefly(char** argv) {
  for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"})
    if (std::getenv(name) != nullptr) return;
  setenv("KMP_BLOCKTIME", "0", 0);  // milliseconds; LLVM's OpenMP reads it at the first region
  setenv("GOMP_SPINCOUNT", "2000", 0);
#if !defined(__clang__)
  std::array<char, 4096> program{};
  const ssize_t size = readlink("/proc/self/exe", program.data(), program.size() - 1);
  if (size > 0) execv(program.data(), argv);  // where it fails, threads wait as the library likes
#else
  (void)argv;
#endif
}

}  // namespace blalm
