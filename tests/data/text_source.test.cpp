#include "data/text/text_source.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <map>

#include "engine/core/error.h"
#include "tests/data/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

using TextLines = std::vector<std::string>;

std::string error_of_reading(const std::filesystem::path& path) {
  return message_of<DataError>([&] { read_lines(path); });
}

}  // namespace

TEST_CASE("line ends of all kinds") {
  TempFolder folder;
  const struct {
    std::string_view content;
    TextLines lines;
    std::int64_t bytes;
  } cases[] = {
      {"", {}, 0},
      {"\n", {""}, 1},
      {"one\ntwo\n", {"one", "two"}, 8},
      {"one\ntwo", {"one", "two"}, 7},
      {"one\r\ntwo\r\n", {"one", "two"}, 8},
      {"one\r\n\r\n\ntwo\r", {"one", "", "", "two\r"}, 10},  // a CR without LF is text
      {"a\rb\r\r\n", {"a\rb\r"}, 5},
      {"\xEF\xBB\xBFone\n", {"one"}, 4},
      {"\xEF\xBB\xBF", {}, 0},
      {"one\n\xEF\xBB\xBFtwo\n", {"one", "\xEF\xBB\xBFtwo"}, 11},  // a mark only at the beginning
      {" \n", {" "}, 2},
  };
  for (const auto& c : cases) {
    CAPTURE(c.content);
    write_plainly(folder / "text.txt", c.content);
    const ReadLines read = read_lines(folder / "text.txt");
    CHECK(read.lines == c.lines);
    CHECK(read.stats.bytes == c.bytes);
    CHECK(read.stats.lines == static_cast<std::int64_t>(c.lines.size()));
  }
}

TEST_CASE("lines are stripped when asked for") {
  TempFolder folder;
  const std::string text = " one two \n\t\n\xE3\x80\x80three\r\nfour\xC2\xA0";
  write_plainly(folder / "text.txt", text);
  write_plainly(folder / "text.jsonl", "{\"text\": \" one\\n two\\n\"}\n");
  const TextOptions options{.strip_lines = true};
  const ReadLines read = read_lines(folder / "text.txt", options);
  CHECK(read.lines == TextLines{"one two", "", "three", "four"});
  CHECK(read.stats.words == 4);
  CHECK(read.stats.bytes == 8 + 1 + 6 + 4);
  CHECK(read_lines(folder / "text.jsonl", options).lines == TextLines{"one\n two"});
  CHECK(read_lines(folder / "text.txt").lines == TextLines{" one two ", "\t", "\xE3\x80\x80three", "four\xC2\xA0"});
}

TEST_CASE("lines of any length come whole, wherever the pieces of the file end") {
  TempFolder folder;
  Rng rng(2);
  TextLines lines;
  std::string content;
  for (const std::size_t size :
       std::initializer_list<std::size_t>{262143, 0, 262144, 1, 262145, 3, 524288, 100, 786431, 5, 1000000}) {
    std::string line(size, 'x');
    for (std::size_t i = 0; i < size; i += 50) line[i] = static_cast<char>('a' + rng.below(26));
    content += line + '\n';
    lines.push_back(std::move(line));
  }
  write_plainly(folder / "long.txt", content);
  CHECK(read_lines(folder / "long.txt").lines == lines);
  content.pop_back();
  write_plainly(folder / "long.txt", content);
  CHECK(read_lines(folder / "long.txt").lines == lines);
}

TEST_CASE("compressed files give the same lines as plain ones") {
  TempFolder folder;
  write_plainly(folder / "lines.txt", golden_lines());
  const ReadLines plain = read_lines(folder / "lines.txt");
  CHECK(plain.stats.lines == 12000);
  CHECK(plain.stats.words == 120000);
  CHECK(plain.stats.bytes == static_cast<std::int64_t>(golden_lines().size()));
  for (const char* extension : {".xz", ".gz", ".zst"}) {
    CAPTURE(extension);
    const std::string compressed = read_plainly(golden_text(std::string("lines.txt") + extension));
    const ReadLines read = read_lines(golden_text(std::string("lines.txt") + extension));
    CHECK(read.lines == plain.lines);
    CHECK(read.stats.words == plain.stats.words);
    CHECK(read_lines(golden_text(std::string("empty.txt") + extension)).lines.empty());
    // Told by its first bytes, not by its name.
    write_plainly(folder / "renamed.txt", compressed);
    CHECK(read_lines(folder / "renamed.txt").lines == plain.lines);
    // Compressed files may be written one after another.
    write_plainly(folder / "twice.txt", compressed + compressed);
    const ReadLines twice = read_lines(folder / "twice.txt");
    CHECK(twice.stats.lines == 24000);
    CHECK(twice.lines.back() == plain.lines.back());
  }
}

TEST_CASE("a flipped byte in a compressed file is found or does no harm") {
  TempFolder folder;
  const std::string text = golden_lines();
  const TextLines lines = read_lines(golden_text("lines.txt.gz")).lines;
  for (const char* extension : {".xz", ".gz", ".zst"}) {
    const std::string whole = read_plainly(golden_text(std::string("lines.txt") + extension));
    const std::filesystem::path path = folder / (std::string("text") + extension);
    int refused = 0, tried = 0;
    for (std::size_t i = 0; i < whole.size(); i += 1 + whole.size() / 150) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << i % 8));
      write_anew(path, flipped);
      ++tried;
      const std::string message = message_of<DataError>([&] {
        if (read_lines(path).lines != lines) throw std::runtime_error("other text");
      });
      if (message == "nothing was thrown") continue;
      ++refused;
      CAPTURE(i);
      CHECK(has(message, path.string()));
    }
    CAPTURE(extension);
    CHECK(refused > tried * 9 / 10);  // some bytes of headers say nothing about the text
  }
}

TEST_CASE("truncated compressed files are refused by name") {
  TempFolder folder;
  for (const char* extension : {".xz", ".gz", ".zst"}) {
    const std::string whole = read_plainly(golden_text(std::string("lines.txt") + extension));
    const std::filesystem::path path = folder / (std::string("text") + extension);
    for (const std::size_t size :
         {whole.size() - 1, whole.size() - 5, whole.size() / 2, std::size_t{20}, std::size_t{7}}) {
      CAPTURE(size);
      write_anew(path, whole.substr(0, size));
      CHECK(has(error_of_reading(path), path.string()));
    }
    write_anew(path, whole + "more");
    CHECK(has(error_of_reading(path), path.string()));
    write_anew(path, "plain text\n");
    CHECK(has(error_of_reading(path), "got other bytes"));
    write_anew(path, "");
    CHECK(has(error_of_reading(path), "got an empty file"));
  }
}

TEST_CASE("binary files are refused with the offset of the NUL byte and a hint") {
  TempFolder folder;
  const std::filesystem::path path = folder / "data.txt";
  write_anew(path, std::string("text\n\0more", 10));
  CHECK(has(error_of_reading(path), "got a NUL byte at offset 5"));
  CHECK(has(error_of_reading(path), path.string()));
  CHECK(has(error_of_reading(path), "tr -d"));
  write_anew(path, std::string(700'000, 'x') + std::string("\0", 1));
  CHECK(has(error_of_reading(path), "offset 700000"));
  write_anew(path, std::string("\xFF\xFEt\0e\0", 6));
  CHECK(has(error_of_reading(path), "UTF-16"));
  CHECK(has(error_of_reading(path), "offset 3"));
}

TEST_CASE("files that cannot be read are named") {
  TempFolder folder;
  CHECK(has(error_of_reading(folder / "missing.txt"), "No such file"));
  CHECK(has(error_of_reading(folder / "missing.txt"), (folder / "missing.txt").string()));
  CHECK(has(error_of_reading(folder.path()), "got a directory"));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(has(error_of_reading(folder / "pipe"), "got a pipe"));
  write_plainly(folder / "secret.txt", "x");
  std::filesystem::permissions(folder / "secret.txt", std::filesystem::perms::none);
  const AsUnprivileged user;
  CHECK(has(error_of_reading(folder / "secret.txt"), "got 'Permission denied'"));
}

TEST_CASE("invalid UTF-8 is kept and counted") {
  TempFolder folder;
  const std::string content = "caf\xE9 \xFF\xFE\nfine é\n\x80";
  write_plainly(folder / "latin.txt", content);
  const ReadLines read = read_lines(folder / "latin.txt");
  CHECK(read.lines == TextLines{"caf\xE9 \xFF\xFE", "fine é", "\x80"});
  CHECK(read.stats.invalid_bytes == 4);
  CHECK(read.stats.words == 5);
  CHECK(read.stats.bytes == static_cast<std::int64_t>(content.size()));
}

TEST_CASE("a line longer than memory should hold is refused") {
  TempFolder folder;
  write_plainly(folder / "long.txt", "short\n" + std::string(1000, 'x') + "\n");
  TextOptions options;
  options.max_line_bytes = 1000;
  CHECK(read_lines(folder / "long.txt", options).lines.size() == 2);
  options.max_line_bytes = 999;
  const std::string message = message_of<DataError>([&] { read_lines(folder / "long.txt", options); });
  CHECK(has(message, "lines of at most 999 bytes"));
  CHECK(has(message, "line 2"));
}

TEST_CASE("JSON Lines give the text field of each object") {
  TempFolder folder;
  CHECK(read_lines(golden_text("documents.jsonl.gz")).lines == TextLines{"one two\nthree", "café"});
  CHECK(read_lines(golden_text("documents.jsonl.gz")).stats.bytes == 18);
  const std::filesystem::path path = folder / "a.jsonl";
  write_anew(path, R"({"body": "a\u0000b", "text": 1})"
                   "\r\n\n  \n"
                   R"({"body": ""})");
  TextOptions options;
  options.json_field = "body";
  CHECK(read_lines(path, options).lines == TextLines{std::string("a\0b", 3), ""});

  const auto error = [&](std::string_view content) {
    write_anew(path, content);
    return message_of<FormatError>([&] { read_lines(path); });
  };
  CHECK(has(
      error("{\"text\": \"x\"}\n{\"b\": 1, \"a\": 2}"),
      "a.jsonl, line 2] expected a text in field 'text', got an object with 'a', 'b' (data.json_field names another)"));
  CHECK(has(error(R"({"a": 1, "b": 2, "c": 3, "d": 4})"), "got an object with 'a', 'b', 'c' and 1 more"));
  CHECK(has(error("{}"), "expected a text in field 'text', got an object without fields"));
  CHECK(has(error("{\"text\": 5}"), "line 1] expected a text in field 'text', got 5"));
  CHECK(has(error("{\"text\": null}"), "line 1] expected a text in field 'text', got null"));
  for (const auto& [line, got] : std::map<std::string, std::string>{
           {"[\"text\"]", "an array of 1"}, {"\"te\\nxt\"", "te\\nxt"}, {"3", "3"}, {"null", "null"}})
    CHECK(has(error(line), "line 1] expected a JSON object with a text in field 'text', got " + got));
  CHECK(has(error("plain text"), "line 1] expected JSON, got an error at column 1"));
  CHECK(has(error("\n{\"text\": \"x\""), "line 2] expected JSON, got an error at column 13"));
  // However long the token is that the parser stumbles over, and whatever is in it.
  const std::string unending = error("{\"text\": \"" + std::string(1'000'000, 'x'));
  CHECK(has(unending, "it ends too early"));
  CHECK(unending.size() < 400);
  const std::string control = error("{\"text\": \"a\x1b[31m\"}");
  CHECK(has(control, "expected JSON"));
  CHECK(control.find('\x1b') == control.npos);
  CHECK(has(error("{\"text\": \"x\"} {"), "line 1] expected JSON"));
  CHECK(has(error("{\"text\": \"\\ud800\"}"), "line 1] expected JSON"));
  CHECK(has(error(std::string(100'000, '[')), "levels deep"));
}

TEST_CASE("invalid UTF-8 in JSON Lines is kept byte for byte") {
  TempFolder folder;
  const std::filesystem::path path = folder / "a.ndjson";
  std::string all;
  for (int byte = 0x80; byte < 0x100; ++byte) all += fmt::format("{} é ", static_cast<char>(byte));
  write_anew(path, "{\"id\": \"\xFF\", \"text\": \"" + all + "\"}\n");
  const ReadLines read = read_lines(path);
  CHECK(read.lines == TextLines{all});
  CHECK(read.stats.invalid_bytes == 128);
  // The characters that stand in for bytes cannot be told from real ones: only such a line is refused.
  for (const char* both : {"\xF4\x8F\xBA\x80 \xFF", "\\uDBFF\\uDE80 \xFF", "\\udbff\\ude80 \xFF"}) {
    write_anew(path, fmt::format("{{\"text\": \"{}\"}}", both));
    CHECK(has(message_of<FormatError>([&] { read_lines(path); }), "line 1] expected valid UTF-8"));
  }
  write_anew(path, "{\"text\": \"\xF4\x8F\xBA\x80\"}");
  CHECK(read_lines(path).lines == TextLines{"\xF4\x8F\xBA\x80"});
}

TEST_CASE("names of JSON Lines files") {
  for (const char* name : {"a.jsonl", "a.ndjson", "a.jsonl.xz", "b/a.x.jsonl.zst", "a.ndjson.gz"})
    CHECK(is_json_lines(name));
  for (const char* name : {"a.txt", "jsonl", "a.jsonl.txt", "a.json", "a.jsonl/b", "a.xz"})
    CHECK_FALSE(is_json_lines(name));
}

TEST_SUITE("slow") {
  TEST_CASE("a line of 100 MB") {
    TempFolder folder;
    std::string line;
    while (line.size() < 100'000'000) line += "some words that go on and on without an end to the line ";
    write_plainly(folder / "long.txt", "first\n" + line + "\nlast");
    const ReadLines read = read_lines(folder / "long.txt");
    REQUIRE(read.lines.size() == 3);
    CHECK(read.lines[1] == line);
    CHECK(read.stats.words == 2 + static_cast<std::int64_t>(line.size()) / 56 * 13);
  }
}
