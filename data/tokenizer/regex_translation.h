// Plain patterns of Oniguruma's syntax as PCRE2 writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace blalm {

// A pattern for PCRE2 (in UTF mode, without other options) that finds in any valid UTF-8 the matches which Oniguruma
// finds for `pattern`. Nothing for a pattern with any construct that is not known to mean the same in both engines, and
// for what is no pattern: that is for Oniguruma to tell.
std::optional<std::string> translate_to_pcre2(std::string_view pattern);

}  // namespace blalm
