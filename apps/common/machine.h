// What a measurement depends on besides the program: processor, compiler, libraries, memory.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace blalm {

// "Intel(R) Xeon(R) Processor, 2 processors, AMX-BF16; g++ 12.2.0; oneDNN 2.6.3"
std::string machine_line();
nlohmann::ordered_json machine_json();

// Of this machine.
std::int64_t memory_bytes();
// The most memory that this process has held so far (VmHWM); 0 where the system does not tell.
std::int64_t peak_rss_bytes();

}  // namespace blalm
