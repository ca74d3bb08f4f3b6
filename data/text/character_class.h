// Classes of characters; reading and writing UTF-8 is core/utf8.h.
#pragma once

#include "engine/core/utf8.h"

namespace blalm::utf8 {

// White_Space of Unicode; letters, marks, digits and connectors, as \s and \w have it.
bool is_space(char32_t value);
bool is_word(char32_t value);

}  // namespace blalm::utf8
