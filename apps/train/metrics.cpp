#include "apps/train/metrics.h"

#include <fmt/format.h>

#include <charconv>
#include <string>
#include <string_view>

#include "engine/core/number.h"
#include "engine/io/atomic_file.h"
#include "engine/io/mapped_file.h"

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

// Nothing where there is no number.
std::string cell(const std::optional<double>& x) { return x ? fmt::format("{:.9g}", without_nan_sign(*x)) : ""; }

// The file with what of it is kept, open for more.
AppendFile continue_file(const std::filesystem::path& file, std::int64_t step) {
  const bool continued = step > 0 && std::filesystem::exists(file);
  write_file_atomically(file, continued ? kept_lines(MappedFile(file).text(), step) : std::string(kHeader),
                        Links::replace);
  return AppendFile(file);
}

}  // namespace

Metrics::Metrics(const std::filesystem::path& file, std::int64_t step) : file_(continue_file(file, step)) {}

void Metrics::add(const MetricsRow& r) {
  file_.append(fmt::format("{},{},{},{:.3f},{},{},{},{},{},{}\n", r.step, r.words, r.tokens, r.seconds, cell(r.loss),
                           cell(r.valid_loss), cell(r.bits_per_byte), cell(r.lr), cell(r.grad_norm),
                           r.tokens_per_second ? fmt::format("{:.1f}", *r.tokens_per_second) : ""));
}

}  // namespace blalm
