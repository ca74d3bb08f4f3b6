#include "apps/bench/peer.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "engine/core/error.h"

namespace blalm::bench {

void Peer::run() {
  std::FILE* pipe = popen(command_.c_str(), "r");
  if (pipe == nullptr) throw DataError(expected_got("peer", "a command that can be run", "'" + command_ + "'"));
  std::string output;
  std::array<char, 4096> buffer{};
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
  const int status = pclose(pipe);
  constexpr std::string_view kFigure = "tok/s=";
  const std::size_t at = output.rfind(kFigure);
  const double figure = at == std::string::npos ? 0 : std::strtod(output.c_str() + at + kFigure.size(), nullptr);
  if (status != 0 || !(figure > 0) || !std::isfinite(figure))
    throw DataError(expected_got("peer", "tok/s=NUMBER in the output of '" + command_ + "'",
                                 status != 0 ? "a command that failed" : "none"));
  tokens_per_second_.push_back(figure);
}

}  // namespace blalm::bench
