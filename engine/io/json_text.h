// JSON that comes from outside, read with bounds, and JSON that can always be written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace blalm {

// What a text may ask for. A value may take forty times the bytes that stand for it, so values are counted too.
struct JsonLimits {
  std::size_t bytes = std::size_t{1} << 30;
  std::int64_t values = 50'000'000;  // with the keys of objects
};
// Of files that hold settings and counts: config.json, state.json, attributes.
inline constexpr JsonLimits kSmallJson{std::size_t{1} << 20, 20'000};
// Arrays and objects inside each other: reading, copying and writing a document recurse.
inline constexpr int kMaxJsonDepth = 64;

// The document in `text`. FormatError "[WHERE] expected JSON, got … at line 3, column 5" for what is not JSON or not
// UTF-8, is deeper or larger than the limits allow, or has a key twice in one object; `hint` goes with the first two.
nlohmann::json parse_json(std::string_view text, const std::string& where, const JsonLimits& limits = {},
                          std::string_view hint = {});

// The document as text, one key a line. Strings that are not UTF-8 are written with stand-ins (core/utf8.h), which
// whoever reads bytes takes back.
std::string json_text(const nlohmann::ordered_json& document, int indent = 2);
std::string json_text(const nlohmann::json& document, int indent = 2);

// What is wrong where the parser stopped, in our words: its own name its internals and repeat the text. `token` is what
// it read last, `error_id` the id of its exception.
std::string json_fault(const std::string& token, bool at_end, int error_id);

// A value for a message, in one line of about `most` bytes.
std::string json_beginning(const nlohmann::json& value, std::size_t most = 60);

}  // namespace blalm
