#include "apps/check/contents.h"
#include "apps/check/golden.h"

namespace blalm::check {

Fields CheckOptions::fields() {
  Fields f;
  f.add("tolerance", tolerance, "largest relative error, norm over norm").above(0);
  return f;
}

namespace {

double factor_of(const std::string& file) { return file.find("extreme-gates") == std::string::npos ? 1 : 10; }

Tolerance scaled(const Tolerance& t, double factor) {
  return {factor * t.result, factor * t.loss, factor * t.gradient};
}

}  // namespace

Tolerance CheckOptions::tolerance_for(const std::string& file) const {
  if (tolerance > 0) return {tolerance, tolerance, tolerance};
  return scaled(dtype == DType::bf16 ? Tolerance{2e-2, 2e-2, 3e-2} : Tolerance{1e-4, 1e-4, 1e-4}, factor_of(file));
}

Tolerance CheckOptions::model_tolerance_for(const std::string& file) const {
  if (tolerance > 0 || dtype != DType::bf16) return tolerance_for(file);
  return scaled({3e-2, 3e-3, 0.25}, factor_of(file));
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
