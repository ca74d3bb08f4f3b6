// A field of a JSON document that knows its name: reading it checks its type, and errors say where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blalm {

// All readers throw FormatError "[FILE: a.b[2].c] expected X, got Y".
class JsonField {
 public:
  // The whole document of a file, as parse_json() reads it; it must outlive the field.
  static JsonField root(const nlohmann::json& document, const std::string& file) { return {document, file + ": "}; }

  const nlohmann::json& value() const { return *value_; }
  const std::string& name() const { return name_; }

  bool is_null() const;
  bool is_object() const;
  // A member of an object; a null field where there is none.
  JsonField operator[](std::string_view key) const;
  JsonField operator[](std::size_t index) const;  // of an array

  std::vector<JsonField> array() const;
  std::string string() const;
  bool boolean() const;
  std::int64_t integer(std::int64_t least, std::int64_t most) const;
  bool boolean_or(bool otherwise) const;  // `otherwise` where the field is null

  std::string described() const;  // for a message: its kind or its short value
  [[noreturn]] void fail(std::string_view expected, std::string_view hint = {}) const;

 private:
  JsonField(const nlohmann::json& value, std::string name) : value_(&value), name_(std::move(name)) {}

  const nlohmann::json* value_;
  std::string name_;
};

}  // namespace blalm
