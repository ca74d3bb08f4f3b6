#include "engine/io/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/making.h"
#include "engine/core/utf8.h"

namespace blalm {
namespace {

using nlohmann::json;

constexpr std::size_t kMostQuoted = 60;  // bytes of a key or token in a message

// "line 3, column 5" of the byte at `at`; the line is left out where there is only one.
std::string place_in(std::string_view text, std::size_t at) {
  const std::string_view before = text.substr(0, at);
  const std::size_t line_begin = before.rfind('\n') + 1;  // 0 where there is none
  const std::string column = fmt::format("column {}", at - line_begin + 1);
  if (text.find('\n') == text.npos) return column;
  return fmt::format("line {}, {}", std::ranges::count(before, '\n') + 1, column);
}

// Counts, before the parser allocates anything, what it will make of the text. What is not JSON may be counted wrong:
// the parser will refuse it.
void check_limits(std::string_view text, const std::string& where, const JsonLimits& limits) {
  if (text.size() > limits.bytes)
    throw FormatError(
        expected_got(where, fmt::format("JSON of at most {} bytes", limits.bytes), fmt::format("{}", text.size())));
  int depth = 0;
  std::int64_t values = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    if (c == '[' || c == '{' || c == ',' || c == ':') ++values;
    if (depth > kMaxJsonDepth)
      throw FormatError(expected_got(where, fmt::format("JSON at most {} levels deep", kMaxJsonDepth),
                                     fmt::format("more at {}", place_in(text, i))));
    if (values > limits.values)
      throw FormatError(expected_got(where, fmt::format("JSON of at most {} values", limits.values),
                                     fmt::format("more at {}", place_in(text, i))));
  }
}

// Builds the document from what the parser reads, token by token.
class Builder final : public nlohmann::json_sax<json> {
 public:
  Builder(std::string_view text, const std::string& where, std::string_view hint)
      : text_(text), where_(where), hint_(hint) {}

  json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(std::int64_t value) override { return add(value); }
  bool number_unsigned(std::uint64_t value) override { return add(value); }
  bool number_float(double value, const std::string&) override { return add(value); }
  bool string(std::string& value) override { return add(std::move(value)); }
  bool binary(json::binary_t&) override { return false; }  // not in text

  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(std::string& key) override {
    const auto [member, is_new] = stack_.back()->emplace(key, nullptr);
    if (!is_new)
      throw FormatError(
          expected_got(where_, "each key once", fmt::format("'{}' twice", utf8::beginning(key, kMostQuoted))));
    member_ = &*member;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& token, const json::exception& error) override {
    const std::string place = place_in(text_, std::max<std::size_t>(position, 1) - 1);
    throw FormatError(expected_got(
        where_, "JSON", fmt::format("an error at {}: {}", place, json_fault(token, position > text_.size(), error.id)),
        hint_));
  }

 private:
  // Where the next value goes. Pointers stay valid: a container grows only when all inside it is complete.
  json& slot() {
    if (stack_.empty()) return root_;
    if (stack_.back()->is_object()) return *member_;
    return stack_.back()->emplace_back(nullptr);
  }
  bool add(json value) {
    slot() = std::move(value);
    return true;
  }
  bool open(json value) {
    json& here = slot();
    here = std::move(value);
    stack_.push_back(&here);
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }

  std::string_view text_;
  const std::string& where_;
  std::string_view hint_;
  json root_;
  std::vector<json*> stack_;  // the containers that are open
  json* member_ = nullptr;    // of the last key
};

template <class Json>
Json with_stand_ins(const Json& value) {
  if (value.is_string()) return utf8::with_stand_ins(value.template get_ref<const std::string&>());
  if (!value.is_structured()) return value;
  Json copy = value.is_array() ? Json::array() : Json::object();
  for (auto it = value.begin(); it != value.end(); ++it) {
    if (value.is_array())
      copy.push_back(with_stand_ins(*it));
    else
      copy[utf8::with_stand_ins(it.key())] = with_stand_ins(*it);
  }
  return copy;
}

}  // namespace

json parse_json(std::string_view text, const std::string& where, const JsonLimits& limits, std::string_view hint) {
  check_limits(text, where, limits);
  if (const std::size_t valid = utf8::valid_prefix(text); valid < text.size())
    throw FormatError(expected_got(
        where, "JSON",
        fmt::format("an error at {}: '{}' is not UTF-8", place_in(text, valid), utf8::printable(text.substr(valid, 1))),
        hint));
  return making(where, [&] {
    Builder builder(text, where, hint);
    json::sax_parse(text.begin(), text.end(), &builder);
    return builder.take();
  });
}

std::string json_text(const nlohmann::ordered_json& document, int indent) {
  return with_stand_ins(document).dump(indent);
}
std::string json_text(const json& document, int indent) { return with_stand_ins(document).dump(indent); }

std::string json_fault(const std::string& token, bool at_end, int error_id) {
  constexpr int kNumberOutOfRange = 406;
  if (at_end) return "it ends too early";
  const std::string quoted = utf8::beginning(token, kMostQuoted);
  return error_id == kNumberOutOfRange ? "a number out of range, " + quoted : fmt::format("near '{}'", quoted);
}

std::string json_beginning(const json& value, std::size_t most) {
  return utf8::beginning(value.dump(-1, ' ', false, json::error_handler_t::replace), most);
}

}  // namespace blalm
