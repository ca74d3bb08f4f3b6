#include "apps/check/attributes.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/check/contents.h"
#include "engine/core/error.h"
#include "engine/io/json_text.h"

namespace blalm::check {

struct Attributes::Values {
  nlohmann::json json;
};

Attributes::Attributes(const SafetensorsFile& file) : file_(name_of(file)), values_(std::make_unique<Values>()) {
  const auto it = file.metadata().find("attrs");
  if (it == file.metadata().end()) throw FormatError(expected_got(file_, "metadata 'attrs'", "none"));
  values_->json = parse_json(it->second, file_ + ": metadata 'attrs'", kSmallJson);
  if (!values_->json.is_object())
    throw FormatError(expected_got(file_, "metadata 'attrs' as a JSON object", json_beginning(values_->json)));
}

Attributes::~Attributes() = default;

void Attributes::refuse(const std::string& expected, const std::string& key) const {
  throw FormatError(expected_got(file_, fmt::format("{} for attribute '{}'", expected, key),
                                 has(key) ? json_beginning(values_->json[key]) : "none"));
}

std::vector<std::string> Attributes::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : values_->json.items()) keys.push_back(key);
  return keys;
}

bool Attributes::has(const std::string& key) const { return values_->json.contains(key); }

double Attributes::number(const std::string& key) const {
  if (!has(key) || !values_->json[key].is_number()) refuse("a number", key);
  return values_->json[key].get<double>();
}

std::int64_t Attributes::integer(const std::string& key) const {
  if (!has(key) || !values_->json[key].is_number_integer()) refuse("a whole number", key);
  return values_->json[key].get<std::int64_t>();
}

std::vector<double> Attributes::numbers(const std::string& key) const {
  if (!has(key) || !values_->json[key].is_array()) refuse("a list of numbers", key);
  std::vector<double> numbers;
  for (const auto& element : values_->json[key]) {
    if (!element.is_number()) refuse("a list of numbers", key);
    numbers.push_back(element.get<double>());
  }
  return numbers;
}

std::string Attributes::text(const std::string& key) const {
  return has(key) && values_->json[key].is_string() ? values_->json[key].get<std::string>() : "";
}

std::string Attributes::setting(const std::string& key) const {
  const auto& value = values_->json.at(key);
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number() && !value.is_boolean()) refuse("a number, a text, true or false", key);
  return value.dump();
}

}  // namespace blalm::check
