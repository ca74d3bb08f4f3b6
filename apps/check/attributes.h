// The metadata "attrs" of a golden file: a JSON object of settings.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/io/safetensors.h"

namespace blalm::check {

// Errors are FormatErrors that name file and key.
class Attributes {
 public:
  explicit Attributes(const SafetensorsFile& file);
  ~Attributes();

  std::vector<std::string> keys() const;
  bool has(const std::string& key) const;
  double number(const std::string& key) const;
  std::int64_t integer(const std::string& key) const;
  std::vector<double> numbers(const std::string& key) const;  // a list of them
  std::string text(const std::string& key) const;             // empty when there is none
  // A number, text or truth value as a setting spells it (core/fields.h).
  std::string setting(const std::string& key) const;

 private:
  [[noreturn]] void refuse(const std::string& expected, const std::string& key) const;

  struct Values;
  std::string file_;
  std::unique_ptr<Values> values_;
};

}  // namespace blalm::check
