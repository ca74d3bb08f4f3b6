#include "blalm/apps/train/metrics.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

#include "blalm/core/error.h"
#include "blalm/io/atomic_file.h"
#include "blalm/io/mapped_file.h"

namespace blalm {
namespace {

constexpr std::string_view kHeader =
    "step,words,tokens,seconds,loss,valid_loss,valid_bits_per_byte,lr,grad_norm,tokens_per_second\n";

// The complete lines of steps up to `step`.
std::string kept_lines(std::string_view text, std::int64_t step) {
  std::string kept(kHeader);
  std::size_t at = text.find('\n');
  while (at != std::string_view::npos) {
    const std::size_t begin = at + 1;
    at = text.find('\n', begin);
    if (at == std::string_view::npos) break;
    const std::string_view line = text.substr(begin, at - begin + 1);
    std::int64_t number = 0;
    if (std::from_chars(line.data(), line.data() + line.size(), number).ec == std::errc() && number <= step)
      kept += line;
  }
  return kept;
}

std::string optional_number(const std::optional<double>& x) { return x ? fmt::format("{:.9g}", *x) : ""; }

}  // namespace

Metrics::Metrics(const std::filesystem::path& file, std::int64_t step) : path_(file) {
  const bool continued = step > 0 && std::filesystem::exists(file);
  write_file_atomically(file, continued ? kept_lines(MappedFile(file).text(), step) : std::string(kHeader));
  file_ = open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file_ < 0)
    throw DataError(expected_got("write", fmt::format("a writable file '{}'", file.string()), std::strerror(errno)));
}

Metrics::~Metrics() { close(file_); }

void Metrics::add(const MetricsRow& r) {
  const std::string line = fmt::format("{},{},{},{:.3f},{:.9g},{},{},{:.9g},{:.9g},{:.1f}\n", r.step, r.words, r.tokens,
                                       r.seconds, r.loss, optional_number(r.valid_loss),
                                       optional_number(r.bits_per_byte), r.lr, r.grad_norm, r.tokens_per_second);
  if (write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    throw DataError(expected_got("write", fmt::format("room for '{}'", path_.string()), std::strerror(errno)));
}

}  // namespace blalm
