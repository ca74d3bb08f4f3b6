#include "blalm/apps/check/contents.h"
#include "blalm/apps/check/golden.h"

namespace blalm::check {

Tolerance CheckOptions::tolerance_for(const std::string& file) const {
  if (tolerance > 0) return {tolerance, tolerance};
  const double factor = file.find("extreme-gates") == std::string::npos ? 1 : 10;
  if (dtype == DType::bf16) return {factor * 2e-2, factor * 3e-2};
  return {factor * 1e-4, factor * 1e-4};
}

void check_file(const SafetensorsFile& file, const CheckOptions& options, Report& report) {
  if (file.metadata().contains("config"))
    check_model(file, options, report);
  else if (!names_under(file, "param/").empty())
    check_optim(file, options, report);
  else
    check_op(file, options, report);
}

}  // namespace blalm::check
