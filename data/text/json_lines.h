// JSON Lines: one JSON object a line, the text in one of its fields.
#pragma once

#include <string>
#include <string_view>

namespace blalm {

// The string in `field` of the object `line`. `where` ("file.jsonl, line 3") is for messages.
// Throws FormatError, naming the field, for what is not a JSON object, or has no such field, or no string in it.
// Invalid UTF-8 inside strings is kept byte for byte.
std::string text_field(std::string_view line, const std::string& field, const std::string& where);

}  // namespace blalm
