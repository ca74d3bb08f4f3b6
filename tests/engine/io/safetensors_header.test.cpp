#include "engine/io/safetensors_header.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "engine/core/error.h"
#include "tests/engine/io/safetensors_bytes.h"
#include "tests/engine/io/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

safetensors::Header parse(std::string_view file) {
  return safetensors::parse_header("m.safetensors", std::as_bytes(std::span(file)));
}

std::string error_of_header(std::string_view file) {
  return message_of<FormatError>([&] { parse(file); });
}

// A header with one tensor 'x' of these fields, before 8 bytes of data.
std::string one_tensor(std::string_view fields) {
  return safetensors_bytes(fmt::format(R"({{"x":{{{}}}}})", fields), "12345678");
}

// Tensors 'a' and 'b', F32 of two elements each and at these offsets, before 16 bytes of data.
std::string two_tensors(std::string_view a, std::string_view b) {
  constexpr std::string_view kFields = R"("dtype":"F32","shape":[2],"data_offsets":)";
  return safetensors_bytes(fmt::format(R"({{"a":{{{0}{1}}},"b":{{{0}{2}}}}})", kFields, a, b), "0123456789abcdef");
}

struct Bad {
  std::string bytes;
  std::vector<std::string> words;  // that the message must have, beside the file
};

const std::string kTensor = "tensor 'x': expected ";
const std::string kF32 = R"("dtype":"F32",)";
const std::string kF32Of2 = R"("dtype":"F32","shape":[2],)";

const std::vector<Bad> kBadHeaders = {
    // The length in front.
    {"", {"header: expected a length of 8 bytes", "a file of 0 bytes"}},
    {"1234567", {"a file of 7 bytes"}},
    {length_bytes(0), {"'{' as its first byte", "no bytes"}},
    {length_bytes(3) + "{}", {"a length of at most 2 bytes", "got 3", "cut short"}},
    {length_bytes(~std::uint64_t{0}) + "{}", {"a length of at most 2 bytes", "got 18446744073709551615"}},
    {length_bytes(std::uint64_t{1} << 63) + "{}", {"a length of at most 2 bytes", "got 9223372036854775808"}},
    // JSON.
    {safetensors_bytes("  {}"), {"'{' as its first byte", "got ' '"}},
    {safetensors_bytes("[]"), {"'{' as its first byte", "got '['"}},
    {safetensors_bytes("\xef\xbb\xbf{}"), {"'{' as its first byte"}},
    {safetensors_bytes("{"), {"'}' and then only spaces", "got '{'"}},
    {safetensors_bytes("{}\n"), {"'}' and then only spaces", "got '\\n'"}},
    {safetensors_bytes(std::string_view("{}\0\0", 4)), {"'}' and then only spaces", "got '\\x00'"}},
    {safetensors_bytes(std::string_view("{}\0}", 4)), {"valid JSON", "a zero byte at byte 2"}},
    {safetensors_bytes("{}{}"), {"valid JSON", "at byte 3"}},
    {safetensors_bytes("{\"x\"}"), {"valid JSON", "at byte 5"}},
    {safetensors_bytes("{'x':1}"), {"valid JSON", "at byte 2"}},
    {safetensors_bytes("{\"x\":{},}"), {"tensor 'x'", "field 'dtype'", "none"}},
    {safetensors_bytes("{/* x */}"), {"valid JSON", "near"}},
    {safetensors_bytes("{\"x\xff\":{}}"), {"valid JSON", "is not UTF-8"}},
    {safetensors_bytes("{\"x\xc0\xaf\":{}}"), {"valid JSON", "is not UTF-8"}},
    {safetensors_bytes(R"({"\ud800":{}})"), {"valid JSON", "near"}},
    {safetensors_bytes("{\"a\nb\":{}}"), {"valid JSON", "near"}},
    // The top object.
    {safetensors_bytes(R"({"x":1})"), {kTensor + "an object, got 1"}},
    {safetensors_bytes(R"({"x":[]})"), {kTensor + "an object, got an array"}},
    {safetensors_bytes(R"({"x":null})"), {kTensor + "an object, got null"}},
    {safetensors_bytes(R"({"x":"F32"})"), {kTensor + "an object, got the string 'F32'"}},
    {safetensors_bytes(R"({"a\nb":1})"), {"tensor 'a\\nb'"}},
    {safetensors_bytes(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},)"
                       R"("x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})"),
     {"header: expected each name once", "'x' twice"}},
    // Fields of a tensor.
    {one_tensor(R"("shape":[2],"data_offsets":[0,8])"), {kTensor + "field 'dtype', got none"}},
    {one_tensor(R"("dtype":"F32","data_offsets":[0,8])"), {kTensor + "field 'shape', got none"}},
    {one_tensor(R"("dtype":"F32","shape":[2])"), {kTensor + "field 'data_offsets', got none"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[0,8],"strides":[1])"), {kTensor + "only the fields", "got 'strides'"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[0,8],"dtype":"F32")"), {kTensor + "each field once", "'dtype' twice"}},
    {one_tensor(kF32Of2 + R"("shape":[2],"data_offsets":[0,8])"), {kTensor + "each field once", "'shape' twice"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[0,8],"data_offsets":[0,8])"), {"each field once", "'data_offsets' twice"}},
    // dtype.
    {one_tensor(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])"), {kTensor + "a known dtype, got 'F33'"}},
    {one_tensor(R"("dtype":"f32","shape":[2],"data_offsets":[0,8])"), {kTensor + "a known dtype, got 'f32'"}},
    {one_tensor(R"("dtype":"","shape":[2],"data_offsets":[0,8])"), {kTensor + "a known dtype, got ''"}},
    {one_tensor(R"("dtype":32,"shape":[2],"data_offsets":[0,8])"), {kTensor + "dtype as a string, got 32"}},
    {one_tensor(R"("dtype":{"a":1},"shape":[2],"data_offsets":[0,8])"), {"dtype as a string, got an object"}},
    {one_tensor(R"("dtype":["F32"],"shape":[2],"data_offsets":[0,8])"), {"dtype as a string, got an array"}},
    // shape.
    {one_tensor(kF32 + R"("shape":2,"data_offsets":[0,8])"), {kTensor + "shape as an array, got 2"}},
    {one_tensor(kF32 + R"("shape":null,"data_offsets":[0,8])"), {kTensor + "shape as an array, got null"}},
    {one_tensor(kF32 + R"("shape":"2","data_offsets":[0,8])"), {"shape as an array, got the string '2'"}},
    {one_tensor(kF32 + R"("shape":[-2],"data_offsets":[0,8])"), {kTensor + "shape of integers in [0, 2^63), got -2"}},
    {one_tensor(kF32 + R"("shape":[2.0],"data_offsets":[0,8])"), {"shape of integers in [0, 2^63), got 2.0"}},
    {one_tensor(kF32 + R"("shape":[2e0],"data_offsets":[0,8])"), {"shape of integers in [0, 2^63), got 2e0"}},
    {one_tensor(kF32 + R"("shape":[true],"data_offsets":[0,8])"), {"shape of integers in [0, 2^63), got true"}},
    {one_tensor(kF32 + R"("shape":["2"],"data_offsets":[0,8])"), {"shape of integers", "got the string '2'"}},
    {one_tensor(kF32 + R"("shape":[[2]],"data_offsets":[0,8])"), {"shape of integers", "got an array"}},
    {one_tensor(kF32 + R"("shape":[9223372036854775808],"data_offsets":[0,8])"), {"got 9223372036854775808"}},
    {one_tensor(kF32 + R"("shape":[99999999999999999999],"data_offsets":[0,8])"), {"got 99999999999999999999"}},
    {one_tensor(kF32 + R"("shape":[1e999],"data_offsets":[0,8])"), {"a number out of range"}},
    {one_tensor(kF32 + R"("shape":[02],"data_offsets":[0,8])"), {"valid JSON"}},
    {one_tensor(kF32 + R"("shape":[1,1,1,1,1,1,2],"data_offsets":[0,8])"), {"a shape of at most 6 axes"}},
    {one_tensor(kF32 + R"("shape":[4294967296,4294967296],"data_offsets":[0,8])"), {"a shape of less than 2^63 bytes"}},
    {one_tensor(kF32 + R"("shape":[2305843009213693952],"data_offsets":[0,8])"), {"a shape of less than 2^63 bytes"}},
    {one_tensor(kF32 + R"("shape":[0,4294967296,4294967296],"data_offsets":[0,0])"), {"a shape of less than 2^63"}},
    {one_tensor(kF32 + R"("shape":[3],"data_offsets":[0,8])"), {kTensor + "12 bytes for F32[3], got 8"}},
    {one_tensor(kF32 + R"("shape":[],"data_offsets":[0,8])"), {kTensor + "4 bytes for F32[], got 8"}},
    {one_tensor(kF32 + R"("shape":[0,2],"data_offsets":[0,8])"), {kTensor + "0 bytes for F32[0, 2], got 8"}},
    // data_offsets.
    {one_tensor(kF32Of2 + R"("data_offsets":8)"), {kTensor + "data_offsets as [begin, end], got 8"}},
    {one_tensor(kF32Of2 + R"("data_offsets":{})"), {"data_offsets as [begin, end], got an object"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[])"), {"data_offsets as [begin, end], got []"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[8])"), {"data_offsets as [begin, end], got [8]"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[0,8,8])"), {"data_offsets as [begin, end], got more than two"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[-8,0])"), {"data_offsets of integers in [0, 2^63), got -8"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[0,8.0])"), {"data_offsets of integers in [0, 2^63), got 8.0"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[0,18446744073709551615])"), {"got 18446744073709551615"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[8,0])"), {kTensor + "data_offsets with begin <= end, got [8, 0]"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[8,16])"), {kTensor + "data_offsets inside 8 bytes, got [8, 16]"}},
    {one_tensor(kF32Of2 + R"("data_offsets":[0,9223372036854775807])"), {"inside 8 bytes", "9223372036854775807]"}},
    // How the tensors lie together.
    {two_tensors("[0,8]", "[0,8]"), {"tensor 'b'", "data_offsets that begin at 8, got [0, 8]", "must not overlap"}},
    {two_tensors("[0,8]", "[4,12]"), {"tensor 'b'", "data_offsets that begin at 8, got [4, 12]", "must not overlap"}},
    {two_tensors("[8,16]", "[8,16]"), {"tensor 'a'", "data_offsets that begin at 0", "no holes"}},
    {safetensors_bytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                       R"("b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})",
                       "01234"),
     {"tensor 'b'", "data_offsets that begin at 2, got [3, 5]", "no holes"}},
    {safetensors_bytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                       R"("b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                       "0123"),
     {"tensor 'b'", "data_offsets that begin at 4, got [2, 2]", "must not overlap"}},
    {two_tensors("[0,8]", "[8,16]") + "x", {"data: expected 16 bytes, as the tensors take, got 17"}},
    {safetensors_bytes("{}", "x"), {"data: expected 0 bytes, as the tensors take, got 1"}},
    // __metadata__.
    {safetensors_bytes(R"({"__metadata__":1})"), {"__metadata__: expected an object, got 1"}},
    {safetensors_bytes(R"({"__metadata__":null})"), {"__metadata__: expected an object, got null"}},
    {safetensors_bytes(R"({"__metadata__":{"k":1}})"), {"__metadata__ 'k': expected a string, got 1"}},
    {safetensors_bytes(R"({"__metadata__":{"k":null}})"), {"__metadata__ 'k': expected a string, got null"}},
    {safetensors_bytes(R"({"__metadata__":{"k":{}}})"), {"__metadata__ 'k': expected a string, got an object"}},
    {safetensors_bytes(R"({"__metadata__":{"k":[]}})"), {"__metadata__ 'k': expected a string, got an array"}},
    {safetensors_bytes(R"({"__metadata__":{"k":1.5}})"), {"__metadata__ 'k': expected a string, got 1.5"}},
    {safetensors_bytes(R"({"__metadata__":{"k":"a","k":"a"}})"), {"__metadata__ 'k'", "each field once", "'k' twice"}},
    {safetensors_bytes(R"({"__metadata__":{},"__metadata__":{}})"), {"each name once", "'__metadata__' twice"}},
};

}  // namespace

TEST_CASE("every broken rule is told in one line with file and field") {
  for (const Bad& bad : kBadHeaders) {
    const std::string message = error_of_header(bad.bytes);
    CAPTURE(message);
    CHECK(message.starts_with("[safetensors] m.safetensors: "));
    CHECK(has(message, ": expected "));
    CHECK(has(message, ", got "));
    CHECK_FALSE(has(message, "\n"));
    for (const std::string& word : bad.words) {
      CAPTURE(word);
      CHECK(has(message, word));
    }
  }
}

TEST_CASE("what the format allows is read") {
  CHECK(parse(safetensors_bytes("{}")).tensors.empty());
  CHECK(parse(safetensors_bytes("{}      ")).data_begin == 16);
  CHECK(parse(safetensors_bytes(R"({"__metadata__":{}})")).metadata.empty());

  // Fields and tensors in any order, white space, escapes, an empty name, empty tensors at every border.
  const safetensors::Header header = parse(safetensors_bytes(
      R"({ "last" : {"data_offsets":[4,8], "shape":[1 , 1], "dtype":"F32"}, "":{"shape":[],"dtype":"I32",
          "data_offsets":[0,4]}, "e0":{"dtype":"F64","shape":[0],"data_offsets":[0,0]},
          "e4":{"dtype":"F64","shape":[3,0],"data_offsets":[4,4]}, "\u0065\n":{"dtype":"U8","shape":[0,-0],
          "data_offsets":[8,8]}, "__metadata__":{"dtype":"\u00e9","shape":""} })",
      "12345678"));
  CHECK(header.tensors.size() == 5);
  CHECK(header.tensors.at("last").dtype == "F32");
  CHECK(header.tensors.at("last").shape == Shape{1, 1});
  CHECK(header.tensors.at("last").begin == 4);
  CHECK(header.tensors.at("last").end == 8);
  CHECK(header.tensors.at("").shape == Shape{});
  CHECK(header.tensors.at("e4").shape == Shape{3, 0});
  CHECK(header.tensors.contains("e\n"));
  CHECK(header.metadata == SafetensorsMetadata{{"dtype", "é"}, {"shape", ""}});
}

TEST_CASE("deep nesting ends the parse at once and never the stack") {
  for (const std::string_view open : {"[", "{\"a\":"}) {
    for (const std::string_view field : {"dtype", "shape", "data_offsets", "strides"}) {
      std::string header = fmt::format("{{\"x\":{{\"{}\":", field);
      for (int i = 0; i < 1'000'000; ++i) header += open;
      CHECK(has(error_of_header(safetensors_bytes(header + "}")), "tensor 'x'"));
    }
    std::string header = "{\"x\":";
    for (int i = 0; i < 1'000'000; ++i) header += open;
    CHECK(has(error_of_header(safetensors_bytes(header + "}")), "tensor 'x'"));
  }
}

TEST_CASE("a header over the limit is refused though the file has it") {
  std::string header(static_cast<std::size_t>(safetensors::kMaxHeaderBytes) + 1, ' ');
  header[0] = '{';
  header[1] = '}';
  CHECK(has(error_of_header(safetensors_bytes(header)), "at most 100000000 bytes, got 100000001"));
}

TEST_CASE("long and strange text is cut to one printable line") {
  CHECK(safetensors::printable("a\tb\x7f") == "a\\x09b\\x7f");
  CHECK(safetensors::printable(std::string(80, 'x')) == std::string(80, 'x'));
  CHECK(safetensors::printable(std::string(81, 'x')) == std::string(80, 'x') + "...");
  CHECK(safetensors::printable(std::string(79, 'x') + "éé") == std::string(79, 'x') + "...");  // no half character
  const std::string long_number(1'000'000, '9');
  CHECK(error_of_header(one_tensor(kF32 + R"("shape":[)" + long_number + "]")).size() < 300);
}
