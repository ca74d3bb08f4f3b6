#include "apps/common/settings.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <new>
#include <random>
#include <stdexcept>

#include "apps/common/fault.h"
#include "apps/common/run_config.h"
#include "engine/core/error.h"
#include "engine/core/making.h"
#include "engine/core/utf8.h"
#include "tests/apps/train_support.h"

namespace blalm {
namespace {

using testing::Folder;

struct Texts {
  std::string text;
  std::vector<std::string> list;
  std::uint64_t number = 0;
  Fields fields() {
    Fields f("x");
    f.add("text", text, "a text");
    f.add("list", list, "texts");
    f.add("number", number, "a number");
    return f;
  }
};

std::string complaint(const std::filesystem::path& file, std::string_view toml) {
  write(file, std::string(toml));
  try {
    read_settings(file);
  } catch (const ConfigError& e) {
    return std::string(e.what()).substr(1 + file.string().size());
  }
  return "";
}

}  // namespace

TEST_CASE("settings of any bytes and numbers are read back as they were written") {
  const Folder folder;
  const auto file = folder.path / "c.toml";
  const auto check = [&](const std::vector<std::string>& texts, std::uint64_t number) {
    Texts written, read;
    for (const std::string& text : texts) written.text += text;
    written.list = texts;
    written.number = number;
    const std::string toml = to_toml(written.fields());
    if (utf8::printable_lines(toml) != toml) FAIL(utf8::printable(toml));  // safe to show
    write(file, toml);
    apply_settings(read_settings(file), read.fields());
    if (read.text != written.text || read.list != written.list || read.number != number) FAIL(utf8::printable(toml));
  };
  for (const char* text : {"a\x1b[31mb", "a\rb", "a\x7f", "\t", "\"\\\n'''\"\"\"", "\xff\xfe", "\u202e", "a#b = [", ""})
    check({text, "x"}, 18446744073709551615u);
  check({"x"}, 9223372036854775808u);
  check({"x"}, 9223372036854775807u);
  std::vector<std::string> every;
  for (char32_t value = 1; value < 0x110000; ++value) {
    if (value >= 0xD800 && value < 0xE000) continue;
    if (every.empty() || every.back().size() > 20000) every.emplace_back("x");
    utf8::append(value, every.back());
  }
  for (const std::string& text : every) check({text, "x"}, 0);
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    std::vector<std::string> texts(2 + random() % 3);
    for (std::string& text : texts)
      while (random() % 30 != 0) text += static_cast<char>(1 + random() % 255);
    check(texts, random());
  }
}

TEST_CASE("every setting of a run is read back as it was written") {
  const Folder folder;
  RunConfig config;
  config.configure({{"train.seed", "18446744073709551615", ""},
                    {"data.seed", "9223372036854775808", ""},
                    {"data.bos", "<\x1b\xff>", ""},
                    {"data.json_field", "a\r\n\"b\\", ""},
                    {"data.train", "a\xff,b\x7f", ""},
                    {"optim.lr", "1e-300", ""},
                    {"train.prompts", "\x01,\xe2\x80\xae", ""}});
  write(folder.path / "c.toml", config.to_toml());
  RunConfig again;
  again.configure(read_settings(folder.path / "c.toml"));
  CHECK(again.to_toml() == config.to_toml());
  CHECK(again.data.bos == config.data.bos);
  CHECK(again.train.seed == 18446744073709551615u);
}

TEST_CASE("depth and size of TOML are bounded, with the place") {
  const Folder folder;
  const auto file = folder.path / "c.toml";
  const auto parts = [](int n) {
    std::string key = "a";
    for (int i = 1; i < n; ++i) key += ".a";
    return key;
  };
  const auto repeated = [](std::string_view text, int n) {
    std::string all;
    for (int i = 0; i < n; ++i) all += text;
    return all;
  };
  CHECK(complaint(file, parts(30) + " = 1").empty());
  for (const std::string& deep :
       {"\n" + parts(30000) + " = 1", "\n[" + parts(30000) + "]\nb = 1", "\n[[" + parts(30000) + "]]\nb = 1",
        "\nx = {" + parts(30000) + " = 1}", "\n" + repeated("\"a\" . ", 30000) + "b = 1"})
    CHECK(complaint(file, deep) == ":2] expected a key of at most 32 parts, got more");
  for (const std::string& deep : {"\n\nx = " + repeated("[", 30000), "\n\nx = " + repeated("{a=", 30000),
                                  "\n\nx = [\"]\", " + repeated("[#]\n", 30000)})
    CHECK(complaint(file, deep).find("expected values at most 32 levels deep, got more") != std::string::npos);
  // Dots and brackets in strings, comments and numbers are none of those.
  CHECK(complaint(file, "x = \"" + repeated("[.", 1000) + "\\\"[\" # " + repeated("[.", 1000) + "\ny = '''\n" +
                            repeated(".{", 1000) + "''' \nz = [" + repeated("0.5, ", 1000) + "]")
            .empty());
  CHECK(complaint(file, "# " + std::string(std::size_t{1} << 20, 'x')).find("in at most 1048576 bytes") !=
        std::string::npos);
  CHECK(complaint(file, "a = 1\nb = \"\xff\"") == ":2] expected text in UTF-8, got the byte \\xff");
}

TEST_CASE("what is not TOML is told by its line, in words of ours") {
  const Folder folder;
  const auto file = folder.path / "c.toml";
  CHECK(complaint(file, "a = 1\n[optim\nb = 2") ==
        ":2] expected TOML: [section] and key = value, got '[optim' at column 7");
  CHECK(complaint(file, "a = 1\na = 2").starts_with(":2] expected each key once, got 'a = 2'"));
  CHECK(complaint(file, "[a]\nb = 1\n[a]\nb = 1").find("expected each key once") != std::string::npos);
  for (const char* broken :
       {"a = ", "= 1", "a", "a = \"x", "a = 1 2", "a = 0x", "a = \x1b", "a = [1", "\x01", "a = 99999999999999999999"}) {
    const std::string message = complaint(file, broken);
    CHECK_MESSAGE(message.starts_with(":1] expected TOML"), message);
    CHECK(utf8::printable(message) == message);
  }
}

TEST_CASE("every amount of steps of a run is whole, every count has a bound") {
  RunConfig config;
  const Fields all = config.fields();
  for (const Field& f : all.list()) {
    CAPTURE(f.path());
    if (f.kind == FieldKind::amount && f.path() != "optim.min_lr") CHECK((f.counts && f.maximum <= 1e12));
    if (f.kind == FieldKind::integer && !f.key.ends_with("seed")) CHECK(f.maximum <= 1e15);
  }
  for (const char* path :
       {"optim.warmup", "optim.decay", "train.valid_every", "train.sample_every", "train.histogram_every"}) {
    CAPTURE(path);
    CHECK_THROWS_AS(config.configure({{path, "0.05", ""}}), ConfigError);
  }
}

TEST_CASE("a final learning rate above the peak is refused, wherever the two are set") {
  RunConfig config;
  CHECK_THROWS_WITH_AS(
      config.configure({{"optim.min_lr", "0.1", "--optim.min_lr"}, {"optim.lr", "1e-3", "--optim.lr"}}),
      "[optim.min_lr] expected at most optim.lr = 0.001, or a share of it, got 0.1 (did you mean 10%?)", ConfigError);
  CHECK_THROWS_AS(
      config.configure({{"optim.lr", "1e-3", ""}, {"optim.schedule", "wsd", ""}, {"optim.min_lr", "2", ""}}),
      ConfigError);
  config.configure({{"optim.lr", "1e-3", ""}, {"optim.schedule", "cosine", ""}, {"optim.min_lr", "1e-3", ""}});
  config.configure({{"optim.min_lr", "100%", ""}});
  config.configure({{"optim.schedule", "linear", ""}, {"optim.min_lr", "0.1", ""}});  // it has no floor
}

TEST_CASE("no exception of a library reaches a user in its own words") {
  const auto line = [](const std::exception& e) { return fault_of(e, "blalm train").line; };
  CHECK(line(std::bad_alloc()).starts_with("[memory] expected room for what blalm train makes, got no more ("));
  CHECK(line(std::length_error("vector::_M_default_append")).starts_with("[memory] expected"));
  CHECK(line(std::filesystem::filesystem_error("cannot get", "a\x1b",
                                               std::make_error_code(std::errc::permission_denied))) ==
        "[files] expected to reach 'a\\x1b', got 'Permission denied'");
  for (const char* what : {"stoll", "[json.exception.type_error.302] type must be number"})
    CHECK(line(std::invalid_argument(what)) ==
          "[blalm train] expected no fault inside the program, got one (please report it with the command line)");
  CHECK(line(ConfigError("a\x1b[2J")) == "a\\x1b[2J");
  CHECK(fault_of(ConfigError("x"), "").code == ExitCode::kUsage);
  const volatile std::size_t many = std::size_t{1} << 62;
  CHECK_THROWS_WITH_AS(making("the model 'a'", [&] { return std::vector<int>(many); }),
                       doctest::Contains("[memory] expected room for the model 'a', got no more ("), DataError);
}

}  // namespace blalm
