#include "engine/io/json_field.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/utf8.h"

namespace blalm {
namespace {

using nlohmann::json;

const json kNull;
constexpr std::size_t kMostOfName = 60;  // in messages: bytes of a key

std::string describe(const json& value) {
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return text.size() <= 60 ? utf8::printable(text) : fmt::format("a string of {} bytes", text.size());
  }
  if (value.is_array() || value.is_object()) {
    return fmt::format("an {} of {}", value.is_array() ? "array" : "object", value.size());
  }
  return value.dump();
}

}  // namespace

bool JsonField::is_null() const { return value_->is_null(); }
bool JsonField::is_object() const { return value_->is_object(); }

JsonField JsonField::operator[](std::string_view key) const {
  if (!value_->is_object()) fail("an object");
  const auto found = value_->find(key);
  std::string name = fmt::format("{}{}{}", name_, name_.ends_with(": ") ? "" : ".", utf8::beginning(key, kMostOfName));
  return {found == value_->end() ? kNull : *found, std::move(name)};
}

JsonField JsonField::operator[](std::size_t index) const {
  if (!value_->is_array() || index >= value_->size()) fail(fmt::format("an array of at least {}", index + 1));
  return {(*value_)[index], fmt::format("{}[{}]", name_, index)};
}

std::vector<JsonField> JsonField::array() const {
  if (!value_->is_array()) fail("an array");
  std::vector<JsonField> items;
  for (std::size_t i = 0; i < value_->size(); ++i) items.push_back((*this)[i]);
  return items;
}

std::string JsonField::string() const {
  if (!value_->is_string()) fail("a string");
  return value_->get<std::string>();
}

bool JsonField::boolean() const {
  if (!value_->is_boolean()) fail("true or false");
  return value_->get<bool>();
}

std::int64_t JsonField::integer(std::int64_t least, std::int64_t most) const {
  const bool fits = value_->is_number_integer() &&
                    !(value_->is_number_unsigned() && value_->get<std::uint64_t>() > std::uint64_t{INT64_MAX});
  if (!fits || value_->get<std::int64_t>() < least || value_->get<std::int64_t>() > most) {
    fail(fmt::format("an integer from {} to {}", least, most));
  }
  return value_->get<std::int64_t>();
}

bool JsonField::boolean_or(bool otherwise) const { return is_null() ? otherwise : boolean(); }

std::string JsonField::described() const { return describe(*value_); }

void JsonField::fail(std::string_view expected, std::string_view hint) const {
  const bool whole_file = name_.ends_with(": ");
  throw FormatError(expected_got(whole_file ? name_.substr(0, name_.size() - 2) : name_, expected, described(), hint));
}

}  // namespace blalm
