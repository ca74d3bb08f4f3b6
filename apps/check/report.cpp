#include "apps/check/report.h"
#include "apps/common/output.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace blalm::check {

double relative_error(const Tensor& got, const Tensor& reference, const Tensor& beside) {
  if (!got.defined() || got.shape() != reference.shape()) return std::numeric_limits<double>::infinity();
  double difference = 0, norm = 0;
  for (std::int64_t i = 0; i < reference.numel(); ++i) {
    const double want = reference.at(i), d = got.at(i) - want;
    difference += d * d;
    norm += want * want;
  }
  for (std::int64_t i = 0; beside.defined() && i < beside.numel(); ++i) norm += beside.at(i) * beside.at(i);
  if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
  return std::sqrt(norm > 0 ? difference / norm : difference);
}

void Report::compare(const std::string& file, const std::string& tensor, const Tensor& got, const Tensor& reference,
                     double tolerance, const Tensor& beside) {
  if (file != current_) {
    print_out("{}\n", file);
    current_ = file;
  }
  const double error = relative_error(got, reference, beside);
  const bool ok = error <= tolerance;
  ++(ok ? passed_ : failed_);
  print_out("  {:<54} {:<18} {:>9.2e}  {}\n", tensor, reference.str(), error,
            ok ? "ok" : fmt::format("FAILED: more than {:.0e}", tolerance));
}

void Report::bad_file(const std::string& file, const std::string& message) {
  bad_ = true;
  fail_file(file, message);
}

void Report::declined(const std::string& file, const std::string& message) { fail_file(file, message); }

void Report::fail_file(const std::string& file, const std::string& message) {
  ++failed_;
  const bool named = message.find(file.substr(file.find_last_of('/') + 1)) != std::string::npos;
  print_error("blalm: {}{}\n", named ? "" : file + ": ", message);
}

ExitCode Report::finish() const {
  print_out("{} passed, {} failed\n", passed_, failed_);
  return bad_ ? ExitCode::kData : failed_ > 0 ? ExitCode::kNumeric : ExitCode::kDone;
}

}  // namespace blalm::check
