#include "engine/io/safetensors.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/core/error.h"
#include "tests/engine/io/safetensors_bytes.h"
#include "tests/engine/io/support.h"
#include "tests/support/paths.h"
#include "tests/support/tensors.h"

using namespace blalm;
using namespace blalm::test;

namespace {

// Every bit pattern matters to a file: each element is another pattern, NaNs and subnormals among them.
Tensor arbitrary(const Shape& shape, DType dtype) {
  const Tensor tensor = Tensor::empty(shape, dtype);
  auto* bytes = static_cast<unsigned char*>(tensor.mutable_raw());
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < tensor.bytes(); ++i)
    bytes[i] = static_cast<unsigned char>((state = state * 1664525U + 1013904223U) >> 24);
  return tensor;
}

// A file of one tensor 'x' that holds `values` as `dtype`, after one byte that makes them unaligned.
template <class T, std::size_t n>
SafetensorsFile stored(const TempFolder& folder, std::string_view dtype, const T (&values)[n]) {
  const std::string header = fmt::format(R"({{"pad":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}},)"
                                         R"("x":{{"dtype":"{}","shape":[{}],"data_offsets":[1,{}]}}}})",
                                         dtype, n, 1 + sizeof values);
  write_plainly(folder / "stored", safetensors_bytes(header, fmt::format("p{}", raw_bytes(values))));
  return SafetensorsFile::open(folder / "stored");
}

template <class T>
std::vector<T> values_of(const Tensor& tensor) {
  REQUIRE(tensor.dtype() == dtype_of<T>);
  return {tensor.values<T>().begin(), tensor.values<T>().end()};
}

using Ints = std::vector<std::int32_t>;

// Sum over all elements of a * b, in double.
double dot(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double sum = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) sum += a.at(i) * b.at(i);
  return sum;
}

SafetensorsFile golden(std::string_view name) {
  return SafetensorsFile::open(std::filesystem::path(testing::golden_folder()) / name);
}

}  // namespace

TEST_CASE("tensors of every dtype and shape come back bit for bit") {
  TempFolder folder;
  const std::vector<Shape> shapes = {{}, {1}, {3}, {2, 5}, {0}, {2, 0, 3}, {1, 2, 1, 3, 1, 2}, {70, 300}};
  std::map<std::string, Tensor> tensors;
  SafetensorsWriter writer;
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64, DType::i32})
    for (const Shape& shape : shapes) {
      const std::string name = fmt::format("{}{}", name_of(dtype), shape.str());
      writer.add(name, tensors[name] = arbitrary(shape, dtype));
    }
  writer.write(folder / "all.safetensors");

  const SafetensorsFile file = SafetensorsFile::open(folder / "all.safetensors");
  CHECK(file.tensors().size() == tensors.size());
  CHECK(file.metadata().empty());
  CHECK(std::ranges::is_sorted(file.names()));
  for (const auto& [key, tensor] : tensors) {
    const std::string name = key;  // clang++ 14 captures no structured binding
    CAPTURE(name);
    REQUIRE(file.contains(name));
    CHECK(file.info(name).shape == tensor.shape());
    CHECK(same_bits(file.load(name), tensor));
    CHECK(file.bytes(name).size() == static_cast<std::size_t>(tensor.bytes()));
    CHECK((reinterpret_cast<std::uintptr_t>(file.bytes(name).data()) %
           static_cast<std::uintptr_t>(size_of(tensor.dtype()))) == 0);
  }
}

TEST_CASE("a file without tensors is a file") {
  TempFolder folder;
  SafetensorsWriter().write(folder / "none");
  CHECK(read_plainly(folder / "none") == safetensors_bytes("{}      "));
  CHECK(SafetensorsFile::open(folder / "none").names().empty());
}

TEST_CASE("the order of adding does not show in the file") {
  TempFolder folder;
  const Tensor a = arbitrary({3}, DType::bf16), b = arbitrary({2, 2}, DType::f32), c = arbitrary({}, DType::f32);
  SafetensorsWriter forward, backward;
  forward.metadata("k", "1");
  forward.metadata("j", "2");
  forward.add("a", a);
  forward.add("b", b);
  forward.add("c", c);
  backward.add("c", c);
  backward.add("b", b);
  backward.add("a", a);
  backward.metadata("j", "2");
  backward.metadata("k", "1");
  forward.write(folder / "forward");
  backward.write(folder / "backward");
  const std::string bytes = read_plainly(folder / "forward");
  CHECK(bytes == read_plainly(folder / "backward"));

  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  CHECK(length % 8 == 0);
  // The header as another JSON reader sees it. Wide elements lie first, then names in order.
  const auto expected = nlohmann::json::parse(R"({"__metadata__": {"j": "2", "k": "1"},
      "b": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
      "c": {"dtype": "F32", "shape": [], "data_offsets": [16, 20]},
      "a": {"dtype": "BF16", "shape": [3], "data_offsets": [20, 26]}})");
  CHECK(nlohmann::json::parse(bytes.substr(8, length)) == expected);
  CHECK(bytes.size() == 8 + length + 26);
}

TEST_CASE("metadata and names hold any text") {
  TempFolder folder;
  const std::string odd = "quote \" backslash \\ line\nbreak \x01 é 😀 /";
  SafetensorsWriter writer;
  writer.metadata(odd, odd);
  writer.metadata("", "");
  writer.metadata("config", R"({"hidden_size": 32})");
  writer.add(odd, Tensor::scalar(1));
  writer.write(folder / "m");
  const SafetensorsFile file = SafetensorsFile::open(folder / "m");
  CHECK(file.metadata() == SafetensorsMetadata{{odd, odd}, {"", ""}, {"config", R"({"hidden_size": 32})"}});
  CHECK(file.load(odd).item() == 1);
}

TEST_CASE("a tensor may be stored in another floating dtype") {
  TempFolder folder;
  const Tensor values = Tensor::from<float>({5}, std::vector<float>{1, -0.0F, 3.14159265F, 1e30F, 1e-40F});
  SafetensorsWriter writer;
  writer.add("bf16", values, DType::bf16);
  writer.add("f64", values, DType::f64);
  writer.write(folder / "m");
  const SafetensorsFile file = SafetensorsFile::open(folder / "m");
  CHECK(file.info("bf16").dtype == "BF16");
  CHECK(same_bits(file.load("bf16"), values.to(DType::bf16)));
  CHECK(same_bits(file.load("f64"), values.to(DType::f64)));
  CHECK(same_bits(file.load_as("f64", DType::f32), values));
  CHECK(same_bits(file.load_as("bf16", DType::f32), values.to(DType::bf16).to(DType::f32)));
}

TEST_CASE("every half-precision number is read as IEEE 754 defines it") {
  TempFolder folder;
  std::uint16_t halves[65536];
  for (std::size_t i = 0; i < 65536; ++i) halves[i] = static_cast<std::uint16_t>(i);
  const Tensor floats = stored(folder, "F16", halves).load("x");
  int wrong = 0;
  for (int i = 0; i < 65536; ++i) {
    const int exponent = (i >> 10) & 0x1f, fraction = i & 0x3ff;
    const float magnitude = exponent == 0x1f ? (fraction == 0 ? std::numeric_limits<float>::infinity() : NAN)
                            : exponent == 0  ? std::ldexp(static_cast<float>(fraction), -24)
                                             : std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
    const float expected = i >= 0x8000 ? -magnitude : magnitude, got = floats.data<float>()[i];
    const bool same =
        std::isnan(expected) ? std::isnan(got) : expected == got && std::signbit(expected) == std::signbit(got);
    wrong += same ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("integers become i32, from wherever they lie") {
  TempFolder folder;
  CHECK(values_of<std::int32_t>(stored(folder, "I32", {std::int32_t{-5}, INT32_MAX, INT32_MIN}).load("x")) ==
        Ints{-5, INT32_MAX, INT32_MIN});
  CHECK(values_of<std::int32_t>(
            stored(folder, "I64", {std::int64_t{-5}, std::int64_t{INT32_MAX}, std::int64_t{INT32_MIN}}).load("x")) ==
        Ints{-5, INT32_MAX, INT32_MIN});
  CHECK(values_of<std::int32_t>(stored(folder, "U64", {std::uint64_t{0}, std::uint64_t{INT32_MAX}}).load("x")) ==
        Ints{0, INT32_MAX});
  CHECK(values_of<std::int32_t>(stored(folder, "U32", {7U, 2147483647U}).load("x")) == Ints{7, INT32_MAX});
  CHECK(values_of<std::int32_t>(stored(folder, "I16", {std::int16_t{-32768}, std::int16_t{32767}}).load("x")) ==
        Ints{-32768, 32767});
  CHECK(values_of<std::int32_t>(stored(folder, "U16", {std::uint16_t{65535}}).load("x")) == Ints{65535});
  CHECK(values_of<std::int32_t>(stored(folder, "I8", {std::int8_t{-128}, std::int8_t{127}}).load("x")) ==
        Ints{-128, 127});
  CHECK(values_of<std::int32_t>(stored(folder, "U8", {std::uint8_t{255}}).load("x")) == Ints{255});
  CHECK(values_of<std::int32_t>(
            stored(folder, "BOOL", {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{2}}).load("x")) == Ints{0, 1, 1});
  CHECK(values_of<double>(stored(folder, "F64", {0.1, -1e300}).load("x")) == std::vector<double>{0.1, -1e300});
  CHECK(values_of<float>(stored(folder, "I16", {std::int16_t{-3}}).load_as("x", DType::f32)) == std::vector<float>{-3});
  // As floating numbers, integers need not fit in i32.
  CHECK(values_of<double>(stored(folder, "U32", {4294967293U}).load_as("x", DType::f64)) == std::vector{4294967293.0});
  CHECK(values_of<float>(stored(folder, "I64", {-(std::int64_t{1} << 40)}).load_as("x", DType::f32)) ==
        std::vector{-0x1p40F});
  CHECK(values_of<double>(stored(folder, "U64", {~std::uint64_t{0}}).load_as("x", DType::f64)) == std::vector{0x1p64});
}

TEST_CASE("values and dtypes that no tensor can hold are refused by name") {
  TempFolder folder;
  const auto error = [](const SafetensorsFile& file, DType dtype) {
    return message_of<FormatError>([&] { file.load_as("x", dtype); });
  };
  const std::string too_large = error(stored(folder, "I64", {std::int64_t{1}, std::int64_t{1} << 31}), DType::i32);
  CHECK(has(too_large, (folder / "stored").string() + ": tensor 'x'"));
  CHECK(has(too_large, "integers that fit in 32 bits, got 2147483648 at element 1"));
  CHECK(has(error(stored(folder, "I64", {std::int64_t{INT32_MIN} - 1}), DType::i32), "got -2147483649 at element 0"));
  CHECK(has(error(stored(folder, "U64", {~std::uint64_t{0}}), DType::i32), "got 18446744073709551615"));
  CHECK(has(error(stored(folder, "U32", {0x80000000U}), DType::i32), "got 2147483648"));
  for (const char* dtype : {"F8_E4M3", "F8_E5M2", "F8_E8M0"})
    CHECK(has(error(stored(folder, dtype, {'a', 'b'}), DType::f32), fmt::format("dtype {} is not supported", dtype)));
  CHECK(has(error(stored(folder, "C64", {1.0}), DType::f32), "dtype C64 is not supported"));
  CHECK(has(error(stored(folder, "F32", {1.5F}), DType::i32), "floating tensors are not rounded"));
  CHECK(stored(folder, "C64", {1.0}).bytes("x").size() == 8);  // its bytes can be had all the same
}

TEST_CASE("a tensor that is not there is named with its file") {
  TempFolder folder;
  SafetensorsWriter().write(folder / "none");
  const SafetensorsFile file = SafetensorsFile::open(folder / "none");
  CHECK_FALSE(file.contains("w"));
  const std::string message = message_of<DataError>([&] { file.load("w"); });
  CHECK(has(message, "tensor 'w' in " + (folder / "none").string()));
  CHECK_THROWS_AS(file.info("w"), DataError);
  CHECK_THROWS_AS(file.bytes("w"), DataError);
  CHECK_THROWS_AS(file.load_as("w", DType::f32), DataError);
  CHECK_THROWS_AS(SafetensorsFile::open(folder / "missing"), DataError);
}

TEST_CASE("a bad file is named when it is opened") {
  TempFolder folder;
  write_plainly(folder / "cut", safetensors_bytes(R"({"x":{"dtype":"F32","shape":[32,32],"data_offsets":[0,4096]}})",
                                                  std::string(1024, 'x')));
  const std::string message = message_of<FormatError>([&] { SafetensorsFile::open(folder / "cut"); });
  CHECK(message == fmt::format("[safetensors] {}: tensor 'x': expected data_offsets inside 1024 bytes, got [0, 4096] "
                               "(is the file cut short?)",
                               (folder / "cut").string()));
}

TEST_CASE("the writer refuses what the format cannot hold") {
  TempFolder folder;
  SafetensorsWriter writer;
  writer.add("x", Tensor::scalar(1));
  writer.metadata("k", "v");
  CHECK(has(message_of<FormatError>([&] { writer.add("x", Tensor::scalar(2)); }), "'x' twice"));
  CHECK(has(message_of<FormatError>([&] { writer.metadata("k", "w"); }), "'k' twice"));
  CHECK(has(message_of<FormatError>([&] { writer.add("__metadata__", Tensor::scalar(1)); }), "reserved"));
  CHECK(has(message_of<ShapeError>([&] { writer.add("u", Tensor()); }), "undefined"));
  CHECK(has(message_of<ShapeError>([&] { writer.add("c", Tensor::zeros({2}, DType::c128)); }), "c128[2] as c128"));
  CHECK(has(message_of<ShapeError>([&] { writer.add("c", Tensor::zeros({2}, DType::c128), DType::f32); }),
            "c128[2] as f32"));
  CHECK(has(message_of<ShapeError>([&] { writer.add("i", Tensor::zeros({2}, DType::i32), DType::f32); }),
            "i32[2] as f32"));
  CHECK(has(message_of<ShapeError>([&] { writer.add("f", Tensor::zeros({2}), DType::i32); }), "f32[2] as i32"));
  writer.write(folder / "m");
  CHECK(SafetensorsFile::open(folder / "m").names() == std::vector<std::string>{"x"});  // the failed ones left no trace
  CHECK(SafetensorsFile::open(folder / "m").load("x").item() == 1);

  writer.metadata("latin-1", "\xe9");
  CHECK(has(message_of<FormatError>([&] { writer.write(folder / "n"); }), "UTF-8"));
  CHECK(folder.listing() == std::set<std::string>{"m"});
  CHECK_THROWS_AS(SafetensorsWriter().write(folder / "missing" / "m"), DataError);
}

TEST_CASE("rms norm of the reference is read: its numbers satisfy the formula") {
  const SafetensorsFile file = golden("op-rms-norm.safetensors");
  CHECK(file.names() == std::vector<std::string>{"dout", "grad/w", "grad/x", "in/w", "in/x", "out"});
  const double eps = nlohmann::json::parse(file.metadata().at("attrs")).at("eps");
  const Tensor x = file.load("in/x"), w = file.load("in/w"), out = file.load("out");
  REQUIRE(x.shape() == Shape{1, 150, 48});
  REQUIRE(w.shape() == Shape{48});
  double worst = 0;
  for (std::int64_t row = 0; row < 150; ++row) {
    double squares = 0;
    for (std::int64_t i = 0; i < 48; ++i) squares += x.at(row * 48 + i) * x.at(row * 48 + i);
    for (std::int64_t i = 0; i < 48; ++i)
      worst = std::max(worst,
                       std::abs(w.at(i) * x.at(row * 48 + i) / std::sqrt(squares / 48 + eps) - out.at(row * 48 + i)));
  }
  CHECK(worst < 1e-5);
}

TEST_CASE("mlstm of the reference is read: out is linear in v") {
  const SafetensorsFile file = golden("op-mlstm.safetensors");
  CHECK(file.tensors().size() == 12);
  CHECK(file.info("in/q").shape == Shape{1, 2, 150, 16});
  CHECK(file.info("in/v").shape == Shape{1, 2, 150, 24});
  CHECK(file.info("in/i").shape == Shape{1, 2, 150});
  // For out linear in v, the gradient for dout gives <grad v, v> = <dout, out>.
  const double left = dot(file.load("grad/v"), file.load("in/v")), right = dot(file.load("dout"), file.load("out"));
  CHECK(std::abs(right) > 1);
  CHECK(left == doctest::Approx(right).epsilon(1e-4));
}

TEST_CASE("golden files written again hold the same tensors") {
  TempFolder folder;
  for (const std::string name : {"op-rms-norm.safetensors", "op-mlstm.safetensors"}) {
    const SafetensorsFile original = golden(name);
    SafetensorsWriter writer;
    for (const auto& [key, value] : original.metadata()) writer.metadata(key, value);
    for (const std::string& tensor : original.names()) writer.add(tensor, original.load(tensor));
    writer.write(folder / name);
    const SafetensorsFile copy = SafetensorsFile::open(folder / name);
    CHECK(copy.names() == original.names());
    CHECK(copy.metadata() == original.metadata());
    for (const std::string& tensor : original.names()) CHECK(same_bits(copy.load(tensor), original.load(tensor)));
  }
}
