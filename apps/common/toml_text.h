// TOML that comes from outside, bounded before a parser sees it, and text that TOML reads back as it was.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace blalm {

// A file of settings is smaller than this, in bytes.
inline constexpr std::size_t kMaxTomlBytes = std::size_t{1} << 20;
// Arrays and inline tables inside each other, and the parts of a dotted key or of the name of a table: the parser
// recurses over both.
inline constexpr int kMaxTomlDepth = 32;

// ConfigError "FILE:LINE: …" for what is larger or deeper, or no UTF-8. Strings and comments may hold anything. Whether
// the rest is TOML is the parser's to say.
void check_toml(std::string_view text, const std::string& file);

// What stands on a line (from 1), for a message about it: "line 3, column 5" is told by the parser, not its words.
std::string toml_line(std::string_view text, std::size_t line);

// `text` as a TOML string with its quotes. Characters that TOML forbids or a terminal obeys are escaped; bytes that are
// not UTF-8 become stand-ins (core/utf8.h), which from_toml_string takes back: any bytes come back as they were.
std::string to_toml_string(std::string_view text);
std::string from_toml_string(std::string_view parsed);

}  // namespace blalm
