#include "engine/core/error.h"

#include <fmt/format.h>

#include "engine/core/utf8.h"

namespace blalm {

std::string expected_got(std::string_view where, std::string_view expected, std::string_view got,
                         std::string_view hint) {
  const std::string message = fmt::format("[{}] expected {}, got {}", where, expected, got);
  return utf8::printable(hint.empty() ? message : fmt::format("{} ({})", message, hint));
}

}  // namespace blalm
