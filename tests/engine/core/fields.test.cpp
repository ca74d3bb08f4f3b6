#include "engine/core/fields.h"

#include <doctest/doctest.h>

#include <array>
#include <utility>

#include "engine/core/error.h"

namespace blalm {
namespace {

// The list of a temporary would be gone with it.
template <class F>
concept HasList = requires(F&& fields) {
  std::forward<F>(fields).list();
};
static_assert(HasList<Fields&> && HasList<const Fields&> && !HasList<Fields> && !HasList<const Fields>);

enum class Colour { red, green };

struct Example {
  std::int64_t size = 4;
  std::uint64_t seed = 0;
  double lr = 1e-3;
  bool tied = true;
  std::string name = "x";
  Amount warmup{5, true};
  Colour colour = Colour::red;
  std::vector<std::string> files;

  Fields fields() {
    Fields f("example");
    f.add("size", size, "how large").at_least(1).at_most(1e7);
    f.add("seed", seed, "of random numbers");
    f.add("lr", lr, "learning rate").above(0);
    f.add("tied", tied, "share weights");
    f.add("name", name, "what it is called");
    f.add("warmup", warmup, "steps or share of all steps").whole().at_most(1e12);
    f.add("colour", colour, {"red", "green"}, "of the bar");
    f.add("files", files, "inputs");
    return f;
  }
};

}  // namespace

TEST_CASE("every kind of field reads back what was set") {
  Example e;
  const Fields f = e.fields();
  for (const auto& [key, text, shown] :
       std::vector<std::array<std::string, 3>>{{"size", "100k", "100000"},
                                               {"seed", "18446744073709551615", "18446744073709551615"},
                                               {"lr", "2e-4", "0.0002"},
                                               {"tied", "false", "false"},
                                               {"name", "a b", "a b"},
                                               {"warmup", "2.5%", "2.5%"},
                                               {"colour", "green", "green"},
                                               {"files", "a,b", "a\\,b"}}) {
    f.set("example." + key, text);
    CHECK(f.at("example." + key).get() == shown);
  }
  CHECK(e.size == 100000);
  CHECK(e.colour == Colour::green);
  CHECK(e.files == std::vector<std::string>{"a,b"});
  CHECK(e.warmup.of(1000) == 25);
}

TEST_CASE("a list is what was listed: no text of it is split, whatever is in it") {
  Example e;
  const Fields f = e.fields();
  const Field& files = f.at("example.files");
  for (const std::vector<std::string>& items : std::vector<std::vector<std::string>>{
           {}, {""}, {"", ""}, {","}, {"a,b"}, {"a", "b"}, {"a\\", "b"}, {"a\\,b"}, {" a", "b\n"}}) {
    files.set_items(items);
    CHECK(e.files == items);
    CHECK(files.items() == items);
    if (items.size() != 1 || items[0].empty()) continue;
    files.set(items[0]);
    CHECK(e.files == items);
  }
  files.set("");
  CHECK(e.files.empty());
  // As one text, different lists are different.
  files.set_items({"a,b"});
  const std::string one = files.get();
  files.set_items({"a", "b"});
  CHECK(one != files.get());
  for (const std::vector<std::string>& items :
       {std::vector<std::string>{std::string(1, '\0')}, {"a", std::string("b\0c", 3)}})
    CHECK_THROWS_AS(files.set_items(items), ConfigError);
  CHECK_THROWS_WITH_AS(f.at("example.lr").set_items({"1", "2"}), "[example.lr] expected one value, got a list of 2",
                       ConfigError);
}

TEST_CASE("bad values name the key, what is allowed and what came") {
  Example e;
  const Fields f = e.fields();
  CHECK_THROWS_WITH_AS(f.set("example.size", "0"),
                       "[example.size] expected a number of at least 1 and at most 10000000, got 0", ConfigError);
  CHECK_THROWS_WITH_AS(f.set("example.size", "1.5"), "[example.size] expected a whole number, got 1.5", ConfigError);
  CHECK_THROWS_AS(f.set("example.size", "99999999999999999999"), ConfigError);
  CHECK_THROWS_AS(f.set("example.seed", "-1"), ConfigError);
  CHECK_THROWS_WITH_AS(f.set("example.lr", "0"), "[example.lr] expected a number above 0, got 0", ConfigError);
  CHECK_THROWS_AS(f.set("example.lr", "nan"), ConfigError);
  CHECK_THROWS_WITH_AS(f.set("example.lr", ""), "[example.lr] expected a number, got nothing", ConfigError);
  CHECK_THROWS_WITH_AS(f.set("example.colour", "blue"), "[example.colour] expected one of red, green, got blue",
                       ConfigError);
  CHECK_THROWS_AS(f.set("example.tied", "yes"), ConfigError);
  CHECK(e.size == 4);
  CHECK(e.lr == 1e-3);
}

TEST_CASE("a share where a number is meant, and the reverse, is refused with what was meant") {
  Example e;
  const Fields f = e.fields();
  for (const auto& [text, meant] : std::vector<std::pair<std::string, std::string>>{
           {"0.05", "5%"}, {"0.25", "25%"}, {"1e-3", "0.1%"}, {"0.07", "7%"}})
    CHECK_THROWS_WITH_AS(
        f.set("example.warmup", text),
        ("[example.warmup] expected a whole number or a percentage, got " + text + " (did you mean " + meant + "?)")
            .c_str(),
        ConfigError);
  CHECK_THROWS_WITH_AS(f.set("example.warmup", "10.5"),
                       "[example.warmup] expected a whole number or a percentage, got 10.5", ConfigError);
  for (const char* text : {"-1", "1e13", "inf", "nan", "101%", "5%%", "%"})
    CHECK_THROWS_AS(f.set("example.warmup", text), ConfigError);
  CHECK_THROWS_WITH_AS(f.set("example.lr", "5%"), "[example.lr] expected a number, got 5% (did you mean 0.05?)",
                       ConfigError);
  CHECK(e.warmup.value == 5);
  for (const char* text : {"0", "1", "500", "0.5%", "0%"}) f.set("example.warmup", text);
}

TEST_CASE("a text with a zero byte, which no path and no flag can hold, is refused") {
  Example e;
  CHECK_THROWS_AS(e.fields().set("example.name", std::string_view("a\0b", 3)), ConfigError);
  CHECK_THROWS_AS(e.fields().set("example.files", std::string_view("a,b\0", 4)), ConfigError);
}

TEST_CASE("a key of a million letters is looked up at once") {
  Example e;
  CHECK_THROWS_AS(e.fields().at("example." + std::string(1'000'000, 'x')), ConfigError);
}

TEST_CASE("the nearest path is near in its key, in whatever section") {
  const std::vector<std::string> paths = {"model.hidden_size", "optim.lr",   "optim.momentum", "train.run",
                                          "train.seed",        "train.eval", "data.seq",       "preset"};
  CHECK(nearest("train.lr", paths) == "optim.lr");
  CHECK(nearest("train.momentum", paths) == "optim.momentum");
  CHECK(nearest("lr", paths) == "optim.lr");
  CHECK(nearest("optm.lr", paths) == "optim.lr");
  CHECK(nearest("trian.sede", paths) == "train.seed");
  CHECK(nearest("train.hiden_size", paths) == "model.hidden_size");
  CHECK(nearest("model.preset", paths) == "preset");
  CHECK(nearest("train.xy", paths).empty());
  CHECK(nearest("model.threads", paths).empty());
  CHECK(nearest("", paths).empty());
}

TEST_CASE("an unknown key comes with the nearest one") {
  Example e;
  CHECK_THROWS_WITH_AS(e.fields().at("example.sise"),
                       "[config] expected a known key, got example.sise (did you mean example.size?)", ConfigError);
  CHECK_THROWS_WITH_AS(e.fields().at("quite_another_thing"), "[config] expected a known key, got quite_another_thing",
                       ConfigError);
}

}  // namespace blalm
