#include "data/text/json_lines.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/text/character_class.h"
#include "engine/core/error.h"
#include "engine/io/json_field.h"
#include "engine/io/json_text.h"

namespace blalm {
namespace {

// The parser takes valid UTF-8 only: invalid bytes go through it as stand-ins, which UTF-8 writes as F4 8F BA xx or
// F4 8F BB xx.
constexpr std::string_view kStandInStarts[] = {"\xF4\x8F\xBA", "\xF4\x8F\xBB"};

bool has_stand_ins(std::string_view line) {
  for (const std::string_view start : kStandInStarts)
    if (line.find(start) != line.npos) return true;
  // As an escaped surrogate pair they begin with \uDBFF, in any case.
  for (std::size_t at = line.find("\\u"); at != line.npos; at = line.find("\\u", at + 1)) {
    std::string digits(line.substr(at + 2, 4));
    for (char& digit : digits) digit = static_cast<char>(std::toupper(static_cast<unsigned char>(digit)));
    if (digits == "DBFF") return true;
  }
  return false;
}

// "an object with 'id', 'story' and 3 more"
std::string fields_of(const nlohmann::json& object) {
  constexpr std::size_t kNamed = 3;
  if (object.empty()) return "an object without fields";
  std::string text = "an object with ";
  std::size_t i = 0;
  for (const auto& [key, value] : object.items())
    if (i++ < kNamed) text += fmt::format("{}'{}'", i == 1 ? "" : ", ", utf8::beginning(key, 40));
  return object.size() > kNamed ? fmt::format("{} and {} more", text, object.size() - kNamed) : text;
}

}  // namespace

std::string text_field(std::string_view line, const std::string& field, const std::string& where) {
  const bool valid = utf8::valid_prefix(line) == line.size();
  if (!valid && has_stand_ins(line)) {
    throw FormatError(expected_got(where, "valid UTF-8", "invalid bytes beside private-use characters",
                                   "they could not be told apart; please repair the line"));
  }
  const nlohmann::json document =
      parse_json(valid ? line : utf8::with_stand_ins(line), where, {}, "one whole object a line");
  const JsonField root = JsonField::root(document, where);
  if (!root.is_object()) root.fail(fmt::format("a JSON object with a text in field '{}'", field));
  const JsonField text = root[field];
  if (!text.value().is_string()) {
    throw FormatError(expected_got(where, fmt::format("a text in field '{}'", field),
                                   document.contains(field) ? text.described() : fields_of(document),
                                   "data.json_field names another"));
  }
  return valid ? text.string() : utf8::without_stand_ins(text.string());
}

}  // namespace blalm
