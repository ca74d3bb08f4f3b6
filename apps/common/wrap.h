// Text for people, in lines that fit a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace blalm {

inline constexpr std::size_t kHelpWidth = 100;

// `text` broken between words into lines of at most `width` characters; all but the first begin with `indent` spaces,
// and the first has as many less for what stands before it. A word that is too long gets a line of its own.
std::string wrapped(std::string_view text, std::size_t indent = 0, std::size_t width = kHelpWidth);

}  // namespace blalm
