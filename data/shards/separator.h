// What stands between documents in a stream of tokens. A document is a line of a text file or the text of a JSON Lines
// object.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace blalm {

// With a separator the line end itself is not encoded, and lines without a word are left out: <s><s> would teach that a
// text may be empty. Without one the text stays as it is: each line is encoded with its line end, a JSON Lines text
// with one after it.
enum class Separator {
  none,
  bos,      // <s> before each
  bos_eos,  // <s> before and </s> after each
  eos,      // </s> after each
};

inline std::vector<std::string> separator_names() { return {"none", "bos", "bos-eos", "eos"}; }
inline std::string name_of(Separator s) { return separator_names()[static_cast<std::size_t>(s)]; }
constexpr bool has_bos(Separator s) { return s == Separator::bos || s == Separator::bos_eos; }
constexpr bool has_eos(Separator s) { return s == Separator::eos || s == Separator::bos_eos; }

}  // namespace blalm
