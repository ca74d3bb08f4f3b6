#include "engine/io/json_text.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <random>

#include "engine/core/error.h"
#include "engine/core/utf8.h"

namespace blalm {
namespace {

using nlohmann::json;

std::string complaint(std::string_view text, const JsonLimits& limits = {}) {
  try {
    parse_json(text, "f.json", limits);
  } catch (const FormatError& e) {
    return e.what();
  }
  return "";
}

TEST_CASE("JSON is read as it was written") {
  for (const char* text : {"null", "[]", "{}", "[1,-2,3.5,\"x\",true,null,[[]],{\"a\":{\"b\":[0]}}]",
                           "18446744073709551615", "{\"a\":1,\"b\":{\"a\":2}}", "\"\\u00e9\\ud83d\\ude00\"", " [ 1 ] "})
    CHECK(parse_json(text, "f") == json::parse(text));
}

TEST_CASE("what is not JSON is told with its place, in words of ours") {
  CHECK(complaint("{\n  \"a\": }") == "[f.json] expected JSON, got an error at line 2, column 8: near '\"a\": }'");
  CHECK(complaint("") == "[f.json] expected JSON, got an error at column 1: it ends too early");
  CHECK(complaint("{\"a\": 1") == "[f.json] expected JSON, got an error at column 8: it ends too early");
  CHECK(complaint("[1] x") == "[f.json] expected JSON, got an error at column 5: near '1] x'");
  CHECK(complaint("[\"a\xff\"]") == "[f.json] expected JSON, got an error at column 4: '\\xff' is not UTF-8");
  CHECK(complaint("[1e999]") == "[f.json] expected JSON, got an error at column 6: a number out of range, 1e999");
  const std::string escape = complaint("[\"a\x1b[31m\"]");
  CHECK(escape.starts_with("[f.json] expected JSON, got an error at column 4"));
  CHECK(escape.find('\x1b') == escape.npos);
  CHECK(complaint("[" + std::string(1'000'000, 'x')).size() < 200);
}

TEST_CASE("a key twice in one object is an error that names it, at any depth") {
  CHECK(complaint(R"({"a": 1, "b": 2, "a": 3})") == "[f.json] expected each key once, got 'a' twice");
  CHECK(complaint(R"([{"x": {"k\u001b": 1, "k\u001b": 1}}])") == "[f.json] expected each key once, got 'k\\x1b' twice");
  CHECK(complaint(R"([{"x": 1}, {"x": 1}, {"y": {"x": 1}}])").empty());
}

TEST_CASE("depth, bytes and values of JSON are bounded") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(complaint(nested(64)).empty());
  CHECK(complaint(nested(65)) == "[f.json] expected JSON at most 64 levels deep, got more at column 65");
  CHECK(complaint("\n{\"a\": " + nested(200'000) + "}") ==
        "[f.json] expected JSON at most 64 levels deep, got more at line 2, column 70");
  CHECK(complaint("[\"" + std::string(1000, '[') + "\\\"[\"]").empty());  // brackets in a string are none
  std::string wide = "[0";
  for (int i = 0; i < 100; ++i) wide += ",{}";
  CHECK(complaint(wide + "]", {.bytes = 1000, .values = 300}).empty());
  CHECK(complaint(wide + "]", {.bytes = 1000, .values = 100})
            .starts_with("[f.json] expected JSON of at most 100 values"));
  CHECK(
      complaint(wide + "]", {.bytes = 100, .values = 300}).starts_with("[f.json] expected JSON of at most 100 bytes"));
}

TEST_CASE("any bytes go through JSON and come back") {
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string bytes;
    while (random() % 8 != 0) bytes += static_cast<char>(random());
    const nlohmann::ordered_json document = {{"x", {bytes}}, {bytes + "k", 1}};
    const json again = parse_json(json_text(document), "f");
    if (utf8::without_stand_ins(again["x"][0].get<std::string>()) != bytes) FAIL(utf8::printable(bytes));
  }
  for (char32_t value = 0; value < 0x110000; ++value) {
    if (value >= 0xD800 && value < 0xE000) continue;
    std::string text;
    utf8::append(value, text);
    if (utf8::without_stand_ins(parse_json(json_text(json(text)), "f").get<std::string>()) != text) FAIL(value);
  }
}

TEST_CASE("any damage to JSON is an error or other JSON") {
  const std::string whole = R"({"a": [1, -2.5e3, "x\u00e9\n", {"b": null}], "c": {"d": [true, false, []]}})";
  std::mt19937 random(2);
  for (int i = 0; i < 20000; ++i) {
    std::string text = whole;
    for (int n = 0; n < 3; ++n)
      text[random() % text.size()] = random() % 3 == 0 ? static_cast<char>(random()) : "[]{},:\"\\0"[random() % 9];
    text.resize(text.size() - random() % 3);
    const std::string message = complaint(text);  // no other exception
    if (!message.empty() && utf8::printable(message) != message) FAIL(message);
  }
}

}  // namespace
}  // namespace blalm
