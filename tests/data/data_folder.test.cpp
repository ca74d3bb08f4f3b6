// Folders that are not ours: preparing data replaces and removes what an earlier preparation made, and nothing else.
#include "data/shards/data_folder.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "engine/core/error.h"
#include "engine/io/atomic_file.h"
#include "tests/data/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

namespace fs = std::filesystem;

using Files = std::map<std::string, std::string>;

Files files_below(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[entry.path().lexically_relative(folder)] = read_plainly(entry.path());
  return files;
}

PrepareOptions with_tokenizer() {
  PrepareOptions options;
  options.shard_tokens = 20;  // several shards
  options.write_beside = [](const fs::path& into) { write_file_atomically(into / "tokenizer.json", "{}"); };
  return options;
}

struct TextFolder {
  TempFolder folder;
  fs::path out = folder / "out";

  TextFolder() {
    write_plainly(folder / "long.txt", "some words\nother words\nand more of them\nand the last of them\nno, these\n");
    write_plainly(folder / "short.txt", "few words\n");
    fs::create_directory(out);
  }
  std::string prepare_again(const char* text, const PrepareOptions& options = with_tokenizer()) const {
    return message_of<DataError>([&] { prepare(whole_file(folder / text), byte_encoder(), out, options); });
  }
};

constexpr const char* kFine = "nothing was thrown";

}  // namespace

TEST_CASE("a folder with anything but prepared data in it is refused, and stays as it is") {
  const struct {
    std::vector<std::string> files;
    const char* got;
  } cases[] = {
      {{"train-mine.bin", "valid-2019.bin"}, "got one with 'train-mine.bin', 'valid-2019.bin' (name another folder)"},
      {{"train-00000.bin"}, "got one with 'train-00000.bin'"},  // of someone else: it does not begin like a shard
      {{"tokenizer.json"}, "got one with 'tokenizer.json' alone"},
      {{"config.json", "model.safetensors", "tokenizer.json"}, "got one of a model or a run, with 'config.json'"},
      {{"config.toml", "run.json"}, "got one of a model or a run, with 'config.toml'"},
      {{"a.txt", "b.txt", "c.txt", "d.txt"}, "got one with 'a.txt', 'b.txt', 'c.txt' and 1 more"},
      {{".hidden"}, "got one with '.hidden'"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.got);
    const TextFolder text;
    for (const std::string& file : c.files) write_plainly(text.out / file, "precious");
    const Files before = files_below(text.out);
    const std::string message = text.prepare_again("long.txt");
    CHECK_MESSAGE(has(message, fmt::format("[data] expected an empty folder or one of prepared data, '{}', {}",
                                           text.out.string(), c.got)),
                  message);
    CHECK(files_below(text.out) == before);
    // A model's folder is one, also with data in it.
    if (!has(c.got, "model")) continue;
    for (const std::string& file : c.files) fs::remove(text.out / file);
    REQUIRE(text.prepare_again("long.txt") == kFine);
    for (const std::string& file : c.files) write_plainly(text.out / file, "precious");
    CHECK(has(text.prepare_again("long.txt"), c.got));
  }
  const TextFolder text;
  write_plainly(text.out / "data.json", "{\"format\": \"mine\"}");
  CHECK(has(message_of<FormatError>([&] { prepare(whole_file(text.folder / "long.txt"), byte_encoder(), text.out); }),
            "data.json: format]"));
  CHECK(files_below(text.out).size() == 1);
}

TEST_CASE(
    "data that is prepared again loses its own shards, and no other file, whatever it is called or data.json says") {
  const TextFolder text;
  const auto prepared = [&] {
    REQUIRE(text.prepare_again("long.txt") == kFine);
    return files_below(text.out);
  };
  REQUIRE(prepared().size() > 4);
  const Files mine = {
      {"notes.txt", "mine"}, {"train-mine.bin", "mine"}, {"train-00077.bin", "mine"}, {"valid-2019.bin", "mine"}};
  for (const auto& [name, content] : mine) write_plainly(text.out / name, content);
  fs::copy_file(text.out / "train-00000.bin", text.out / "train-00088.bin");  // a shard, but not in data.json
  REQUIRE(text.prepare_again("short.txt") == kFine);
  Files after = files_below(text.out);
  CHECK(after.size() == 3 + mine.size() + 1);
  for (const auto& [name, content] : mine) CHECK(after[name] == content);
  CHECK(after.contains("train-00088.bin"));

  // data.json may list what is no shard.
  std::string list = read_plainly(text.out / "data.json");
  list.replace(list.find("train-00000.bin"), 15, "notes.txt");
  write_anew(text.out / "data.json", list);
  fs::remove(text.out / "train-00000.bin");
  REQUIRE(text.prepare_again("short.txt") == kFine);
  CHECK(files_below(text.out)["notes.txt"] == "mine");

  // Another's file in the place of a new shard, and links: none is written through.
  write_plainly(text.out / "train-00001.bin", "mine");
  const Files before = files_below(text.out);
  CHECK(has(text.prepare_again("long.txt"),
            "train-00001.bin' but a shard, got another (move it, or name another folder)"));
  CHECK(files_below(text.out) == before);
  fs::remove(text.out / "train-00001.bin");
  fs::create_directory(text.folder / "victim");
  write_plainly(text.folder / "victim" / "x", "mine");
  fs::create_directory_symlink(text.folder / "victim", text.out / ".preparing");
  fs::remove(text.out / "tokenizer.json");
  fs::create_symlink(text.folder / "victim" / "x", text.out / "tokenizer.json");
  REQUIRE(text.prepare_again("long.txt") == kFine);
  CHECK(files_below(text.folder / "victim") == Files{{"x", "mine"}});
}

TEST_CASE("a preparation that is killed, whenever it is, leaves a folder that can be prepared again") {
  const TextFolder reference;
  REQUIRE(reference.prepare_again("short.txt") == kFine);
  const Files wanted = files_below(reference.out);
  const auto differ = [&](Files files) {  // data.json names the text, which is elsewhere
    std::vector<std::string> names;
    for (const auto& [name, content] : wanted)
      if (name != "data.json" && files[name] != content) names.push_back(name);
    return names;
  };
  for (const bool had_data : {false, true}) {
    for (const bool late : {false, true}) {
      CAPTURE(had_data);
      CAPTURE(late);
      const TextFolder text;
      if (had_data) REQUIRE(text.prepare_again("long.txt") == kFine);
      const pid_t child = ::fork();
      if (child == 0) {
        PrepareOptions options = with_tokenizer();
        if (late)
          options.write_beside = [](const fs::path& into) {
            write_file_atomically(into / "tokenizer.json", "{}");
            ::_exit(7);
          };
        else
          options.progress = [](const PrepareProgress&) { ::_exit(7); };
        text.prepare_again("long.txt", options);
        ::_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      REQUIRE((WIFEXITED(status) && WEXITSTATUS(status) == 7));
      CHECK(is_prepared(text.out) == (had_data && !late));
      CHECK(fs::exists(text.out / ".preparing"));
      CHECK(text.prepare_again("short.txt") == kFine);
      const Files after = files_below(text.out);
      CHECK(differ(after).empty());
      // What was replaced is gone. Of shards that came before any list of them, nothing tells whose they are.
      if (had_data || !late) CHECK(after.size() == wanted.size());
    }
  }
}
