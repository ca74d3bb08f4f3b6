// Every exception that may end the program, told in one line of ours: no library's own words reach a user.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "engine/core/error.h"

namespace blalm {

struct Fault {
  std::string line;  // without a line feed, safe to print
  ExitCode code;
};

// `work` is what was being done, "blalm train".
Fault fault_of(const std::exception& e, std::string_view work);

}  // namespace blalm
