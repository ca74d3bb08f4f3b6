#include "blalm/core/error.h"

#include <fmt/format.h>

namespace blalm {

std::string expected_got(std::string_view where, std::string_view expected, std::string_view got,
                         std::string_view hint) {
  if (hint.empty()) return fmt::format("[{}] expected {}, got {}", where, expected, got);
  return fmt::format("[{}] expected {}, got {} ({})", where, expected, got, hint);
}

}  // namespace blalm
