#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "apps/tokenize/summary.h"
#include "data/shards/token_data.h"
#include "tests/apps/support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;
using testing::contains;
using testing::Folder;
using testing::Outcome;
using testing::run_blalm;
using testing::write;

std::map<std::string, std::string> contents_of(const fs::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::directory_iterator(folder))
    contents[entry.path().filename()] = testing::read_text(entry.path());
  return contents;
}

// The numbers of a line of the summary.
std::vector<std::string> fields_of(const std::string& output, const std::string& label) {
  const std::size_t at = output.find("\n" + label + " ");
  if (at == std::string::npos) return {};
  std::istringstream in(output.substr(at + label.size() + 1, output.find('\n', at + 1) - at - label.size() - 1));
  std::vector<std::string> fields;
  for (std::string f; in >> f;) fields.push_back(f);
  return fields;
}

}  // namespace

TEST_CASE("tokenize prepares a folder and reports exactly what is in it") {
  const Folder folder;
  write(folder.path / "a.txt", testing::sentences(300));
  write(folder.path / "b.txt", testing::sentences(200, 2) + std::string(1200, '\n'));
  write(folder.path / "v.txt", testing::sentences(40, 3));
  const Outcome o = run_blalm("tokenize --input " + folder / "a.txt" + " " + folder / "b.txt" + " --valid " +
                              folder / "v.txt" + " --vocab-size 300 --out " + folder / "out");
  CHECK_MESSAGE(o.exit_code == 0, o.output);
  const PreparedData data = read_prepared(folder.path / "out");
  CHECK(data.train.words() == 2500);
  CHECK(data.valid.words() == 200);
  CHECK(fields_of(o.output, "files") == std::vector<std::string>{"2", "1"});
  CHECK(fields_of(o.output, "lines") == std::vector<std::string>{"500", "40"});
  CHECK(fields_of(o.output, "words") == std::vector<std::string>{"2,500", "200"});
  CHECK(fields_of(o.output, "bytes") ==
        std::vector<std::string>{grouped(data.train.bytes()), grouped(data.valid.bytes())});
  CHECK(fields_of(o.output, "tokens") ==
        std::vector<std::string>{grouped(data.train.tokens()), grouped(data.valid.tokens())});
  CHECK(fields_of(o.output, "a.txt") == std::vector<std::string>{"1,500", "0"});
  CHECK(contains(o, "blank lines left out: 1,200 of the training text, 0 of the validation text\n"));
  CHECK(contains(o, "tokens a word"));
  CHECK(contains(o, "bytes a token"));
  CHECK(contains(o, "seconds"));
  CHECK(contains(o, "vocabulary"));
  CHECK_FALSE(contains(o, "\r"));

  // The tokens are the text.
  const Tokenizer tokenizer = Tokenizer::load(folder.path / "out");
  const TokenData tokens = TokenData::open(folder.path / "out", Part::valid);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens.tokens()));
  tokens.read(0, ids);
  std::string text;
  for (const std::int32_t id : ids) text += tokenizer.is_special(id) ? "\n" : std::string(tokenizer.token_bytes(id));
  CHECK(text.substr(1) + "\n" == testing::sentences(40, 3));
}

TEST_CASE("tokenize with a given tokenizer, a held-out share and settings") {
  const Folder folder;
  write(folder.path / "a.txt", testing::sentences(2000));
  write(folder.path / "a.jsonl", "{\"story\": \"The cat saw a ball.\"}\n");
  testing::small_tokenizer().save(folder.path / "tokenizer.json");
  const Outcome o = run_blalm("tokenize --input=" + folder / "a.txt" + " --tokenizer " + folder / "tokenizer.json" +
                              " --data.valid_share 0.1 --data.separator bos-eos --out " + folder / "out");
  CHECK_MESSAGE(o.exit_code == 0, o.output);
  CHECK(fields_of(o.output, "vocabulary") == std::vector<std::string>{"300"});
  const PreparedData data = read_prepared(folder.path / "out");
  CHECK(data.separator == Separator::bos_eos);
  CHECK(data.valid.words() > 500);
  CHECK(data.valid.words() < 1500);
  CHECK(testing::read_text(folder.path / "out" / "tokenizer.json") ==
        testing::read_text(folder.path / "tokenizer.json"));
  CHECK(run_blalm("tokenize --input " + folder / "a.jsonl" + " --data.json_field story --data.valid_share 0 --out " +
                  folder / "json")
            .exit_code == 0);
  CHECK(read_prepared(folder.path / "json").train.words() == 5);
}

TEST_CASE("the spelling of a separator inside a text stays text") {
  const Folder folder;
  write(folder.path / "a.txt", "He wrote <s> and </s>.\n<s>\n");
  testing::small_tokenizer().save(folder.path / "tokenizer.json");
  const Outcome o = run_blalm("tokenize --input " + folder / "a.txt" + " --tokenizer " + folder / "tokenizer.json" +
                              " --data.valid_share 0 --out " + folder / "out");
  CHECK_MESSAGE(o.exit_code == 0, o.output);
  const Tokenizer tokenizer = Tokenizer::load(folder.path / "out");
  const TokenData tokens = TokenData::open(folder.path / "out", Part::train);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens.tokens()));
  tokens.read(0, ids);
  CHECK(std::ranges::count_if(ids, [&](std::int32_t id) { return tokenizer.is_special(id); }) == 2);  // one a line
  CHECK(tokenizer.decode(ids) == "He wrote <s> and </s>.<s>");
}

TEST_CASE("stripped lines give the tokenizer and the tokens of text without white space around them") {
  const Folder folder;
  std::istringstream lines(testing::sentences(400));
  std::string plain, padded;
  for (std::string line; std::getline(lines, line);) {
    plain += line + "\n";
    padded += "  " + line + "\t \xC2\xA0\n";
  }
  write(folder.path / "plain.txt", plain);
  write(folder.path / "padded.txt", padded);
  for (const std::string name : {"plain", "padded"}) {
    const Outcome o = run_blalm("tokenize --input " + folder / (name + ".txt") +
                                " --vocab-size 300 --data.strip_lines true --out " + folder / name);
    REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  }
  for (const std::string file : {"tokenizer.json", "train-00000.bin", "valid-00000.bin"})
    CHECK_MESSAGE(testing::read_text(folder.path / "plain" / file) == testing::read_text(folder.path / "padded" / file),
                  file);
}

TEST_CASE("tokenize and train name the files of a folder that they do not read, and those without words") {
  const Folder folder;
  fs::create_directories(folder.path / "in" / "more");
  write(folder.path / "in" / "a.txt", testing::sentences(200));
  write(folder.path / "in" / "b.txt", "");
  write(folder.path / "in" / "c.txt", "\n \n");
  write(folder.path / "in" / ".d.txt", "hidden");
  for (int i = 0; i < 12; ++i) write(folder.path / "in" / (std::to_string(i) + ".pdf"), "x");
  const Outcome o = run_blalm("tokenize --input " + folder / "in" + " --vocab-size 300 --out " + folder / "out");
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  CHECK(fields_of(o.output, "b.txt") == std::vector<std::string>{"0", "0"});
  const std::string settings = " --data.vocab_size 300 --data.seq 16 --train.valid_blocks 1 --dry-run 1";
  const Outcome trained = run_blalm("train --data.train " + folder / "in" + settings);
  REQUIRE_MESSAGE(trained.exit_code == 0, trained.output);
  const std::string in = (folder.path / "in").string();
  const auto check_said = [&](const std::string& output, const std::string& label) {
    for (const std::string& sentence :
         {std::string("blank lines left out: 2 of the training text, 0 of the validation text\n"),
          "no words in '" + in + "/b.txt' (empty), '" + in + "/c.txt' (only blank lines)\n",
          "14 left out of the folders, by their names no text: '" + in + "/.d.txt', '"})
      CHECK_MESSAGE(contains(output, "\n" + label + sentence), output);
    CHECK(contains(output, "6.pdf' and 4 more\n"));
  };
  check_said(o.output, "");
  check_said(trained.output, "data       ");
  // Prepared before, there is nothing to say.
  CHECK_FALSE(contains(run_blalm("train --data.train " + folder / "out" + settings), "left out"));
  CHECK(read_prepared(folder.path / "out").sources.size() == 3);
}

TEST_CASE("a vocabulary larger than the text supports is said, not an error") {
  const Folder folder;
  write(folder.path / "a.txt", testing::sentences(50));
  const Outcome o = run_blalm("tokenize --input " + folder / "a.txt" + " --vocab-size 16k --data.valid_share 0 --out " +
                              folder / "out");
  CHECK(o.exit_code == 0);
  CHECK(contains(o, "(of 16,000 asked for: the text has no more pairs)"));
}

TEST_CASE("tokenize --help lists the settings that shape text, and no other") {
  const std::string help = run_blalm("tokenize --help").output;
  for (const char* key : {"words", "separator", "bos", "eos", "valid_share", "json_field", "strip_lines", "split_seed"})
    CHECK_MESSAGE(contains(help, std::string("--data.") + key + " "), key);
  for (const char* key : {"train", "valid", "tokenizer", "vocab_size", "seq", "shuffle", "seed"})
    CHECK_MESSAGE(!contains(help, std::string("--data.") + key + " "), key);
}

TEST_CASE("tokenize says what is wrong, and leaves no folder behind") {
  const Folder folder;
  write(folder.path / "a.txt", testing::sentences(50));
  write(folder.path / "empty.txt", "");
  write(folder.path / "binary.txt", std::string("a\0b", 3));
  write(folder.path / "wrong.jsonl", "{\"text\": 3}\n");
  testing::small_tokenizer({"<pad>"}).save(folder.path / "plain.json");
  const std::string in = "--input " + folder / "a.txt" + " ", out = "--out " + folder / "out" + " ";
  for (const auto& [arguments, code, words] :
       {std::tuple<std::string, int, std::string>{"", 2, "--input FILE..."},
        {in, 2, "--out DIR"},
        {out + "--input", 2, "one or more values"},
        {in + out + "--vocab-size 100", 2, "259"},
        {in + out + "--vocab-size many", 2, "whole number, got many"},
        {in + out + "--data.seq 128", 2, "settings that shape prepared text, got --data.seq"},
        {in + out + "--data.separater bos", 2, "did you mean data.separator?"},
        {in + out + "--vocab-size 300 --tokenizer " + folder / "plain.json", 2, "has its own size"},
        {in + out + "--data.train x.txt", 2, "--input"},
        {in + out + "--tokenizer " + folder / "plain.json", 2, "data.separator"},
        {in + out + "--tokenizer /nowhere.json", 3, "/nowhere.json"},
        {in + out + "--valid " + folder / "a.txt", 3, "a.txt"},
        {out + "--input /nowhere.txt", 3, "/nowhere.txt"},
        {out + "--data.valid_share 0 --input " + folder / "empty.txt", 3, "empty.txt', which is empty"},
        {out + "--input " + folder / "empty.txt", 3, "empty.txt', which is empty"},
        {in + out + "--valid " + folder / "empty.txt", 3, "empty.txt', which is empty"},
        {out + "--input " + folder / "binary.txt", 3, "binary.txt"},
        {out + "--input " + folder / "wrong.jsonl", 3, "wrong.jsonl"},
        {in + "--out " + folder / "a.txt", 3, "a.txt"}}) {
    const Outcome o = run_blalm("tokenize " + arguments, testing::kStandardError);
    const std::string shown = arguments;  // clang++ 14 captures no structured binding
    CAPTURE(shown);
    CHECK_MESSAGE(o.exit_code == code, o.output);
    CHECK_MESSAGE(contains(o, words), o.output);
    CHECK_MESSAGE(std::count(o.output.begin(), o.output.end(), '\n') == 1, o.output);
    CHECK_FALSE(fs::exists(folder.path / "out"));
  }
}

TEST_CASE("tokenize refuses prepared data as its input, and replaces other data only when it is told to") {
  const Folder folder;
  const auto tokenize = [&](const std::string& more) {
    return run_blalm("tokenize --input " + folder / "a.txt" + " --vocab-size 300 --out " + folder / "out" + " " + more);
  };
  write(folder.path / "a.txt", testing::sentences(200));
  CHECK(tokenize("").exit_code == 0);
  CHECK(run_blalm("tokenize --input " + folder / "out" + " --out " + folder / "again").exit_code == 3);
  const auto first = contents_of(folder.path / "out");
  const auto written = fs::last_write_time(folder.path / "out" / "train-00000.bin");
  // The same again is no harm, and is not written again.
  CHECK(tokenize("").exit_code == 0);
  CHECK(fs::last_write_time(folder.path / "out" / "train-00000.bin") == written);
  const auto check_refused = [&](const std::string& more) {
    const Outcome o = tokenize(more);
    CAPTURE(more);
    CHECK(o.exit_code == 3);
    CHECK_MESSAGE(contains(o, "[data] expected '" + (folder.path / "out").string() + "' new, or with the same data"),
                  o.output);
    CHECK_MESSAGE(contains(o, "--replace"), o.output);
    CHECK(contents_of(folder.path / "out") == first);
  };
  // Other settings, another vocabulary, another tokenizer, other text.
  testing::small_tokenizer().save(folder.path / "tokenizer.json");
  for (const std::string more : {"--data.valid_share 0", "--data.split_seed 1", "--data.separator none",
                                 "--vocab-size 280", "--data.strip_lines true"})
    check_refused(more);
  write(folder.path / "a.txt", testing::sentences(200, 4));
  check_refused("");
  write(folder.path / "a.txt", testing::sentences(300));
  check_refused("");
  CHECK(tokenize("--data.valid_share 0 --replace").exit_code == 0);
  CHECK(read_prepared(folder.path / "out").train.words() == 1500);

  // What a run reads stays, whatever is asked for; so does what is no data of ours.
  const int reader = open((folder.path / "out").c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(flock(reader, LOCK_SH | LOCK_NB) == 0);
  const Outcome in_use = tokenize("--replace");
  CHECK(in_use.exit_code == 3);
  CHECK_MESSAGE(contains(in_use, "for this process alone, got another process that reads it"), in_use.output);
  close(reader);
  write(folder.path / "out" / "data.json", "{}");
  for (const std::string more : {"--data.valid_share 0", "--data.valid_share 0 --replace"})
    CHECK_MESSAGE(contains(tokenize(more), "data.json: format] expected 'blalm-data'"), more);
}

TEST_CASE("tokenize leaves folders that are not its own as they are") {
  const Folder folder;
  write(folder.path / "a.txt", testing::sentences(200));
  fs::create_directory(folder.path / "mine");
  write(folder.path / "mine" / "train-mine.bin", "precious");
  testing::save_small_model(folder.path / "model");
  fs::create_directories(folder.path / "run");
  write(folder.path / "run" / "config.toml", "precious");
  fs::create_directory(folder.path / "tokenizer");
  testing::small_tokenizer().save(folder.path / "tokenizer" / "tokenizer.json");
  for (const std::string out : {"mine", "model", "run", "tokenizer"}) {
    const auto before = contents_of(folder.path / out);
    const Outcome o = run_blalm("tokenize --input " + folder / "a.txt" + " --vocab-size 300 --out " + folder / out);
    CHECK(o.exit_code == 3);
    CHECK_MESSAGE(contains(o, "blalm: [data] expected an empty folder or one of prepared data, '"), o.output);
    CHECK_MESSAGE(std::ranges::count(o.output, '\n') == 1, o.output);
    CHECK(contents_of(folder.path / out) == before);
  }
}

TEST_CASE("a text that is trained on does not come back as validation text, and one that comes twice is said") {
  const Folder folder;
  write(folder.path / "a.txt", testing::sentences(200));
  fs::create_directory(folder.path / "in");
  fs::copy_file(folder.path / "a.txt", folder.path / "in" / "copy.txt");
  write(folder.path / "in" / "b.txt", testing::sentences(100, 2));
  const std::string a = (folder.path / "a.txt").string(), copy = (folder.path / "in" / "copy.txt").string();
  const std::string out = " --vocab-size 300 --out " + folder / "out";
  const Outcome leak = run_blalm("tokenize --input " + folder / "a.txt" + " --valid " + folder / "in" + out);
  CHECK(leak.exit_code == 3);
  CHECK(leak.output == "blalm: [data] expected validation files that are not trained on, got '" + copy +
                           "' in data.valid, the text of '" + a + "' in data.train\n");
  const Outcome twice = run_blalm("tokenize --input " + folder / "a.txt" + " " + folder / "in" + out);
  CHECK_MESSAGE(twice.exit_code == 0, twice.output);
  CHECK_MESSAGE(contains(twice, "\n'" + copy + "' has the text of '" + a + "': it counts again\n"), twice.output);
}

TEST_CASE("two programs at once on one folder: the second is refused in one line, and nothing is lost or mixed") {
  const Folder folder;
  std::map<std::string, std::map<std::string, std::string>> alone;
  const auto arguments = [&](const std::string& text, const std::string& out) {
    return "tokenize --input " + folder / (text + ".txt") + " --vocab-size 300 --replace --out " + folder / out;
  };
  for (const std::string text : {"a", "b"}) {
    write(folder.path / (text + ".txt"), testing::sentences(text == "a" ? 20'000 : 30'000, text == "a" ? 1 : 2));
    REQUIRE(run_blalm(arguments(text, text)).exit_code == 0);
    alone[text] = contents_of(folder.path / text);
  }
  const std::string refusal = "blalm: [data] expected '" + (folder.path / "out").string() +
                              "' for this process alone, got another process that writes there (wait for it, or name "
                              "another folder)\n";
  // Who holds the folder may be at anything.
  fs::create_directory(folder.path / "out");
  const int other = open((folder.path / "out").c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(flock(other, LOCK_EX | LOCK_NB) == 0);
  const Outcome refused = run_blalm(arguments("a", "out"), testing::kStandardError);
  CHECK(refused.exit_code == 3);
  CHECK(refused.output == refusal);
  CHECK(fs::is_empty(folder.path / "out"));
  close(other);

  // New, or with data in it, the folder holds what one of the two makes alone.
  for (int round = 0; round < 6; ++round) {
    CAPTURE(round);
    if (round % 2 == 0) fs::remove_all(folder.path / "out");
    const Outcome o = run_blalm(
        arguments("a", "out") + " 2>&1 >/dev/null & '" + testing::build_folder() + "/blalm' " + arguments("b", "out"),
        "2>&1 >/dev/null; wait");
    CHECK_MESSAGE((o.output.empty() || o.output == refusal), o.output);
    const auto made = contents_of(folder.path / "out");
    CHECK((made == alone["a"] || made == alone["b"]));
  }
}

TEST_CASE("a full file-size limit is an error that leaves nothing") {
  const Folder folder;
  write(folder.path / "a.txt", testing::sentences(20000));
  const Outcome o = run_blalm("tokenize --input " + folder / "a.txt" + " --vocab-size 300 --out " + folder / "out",
                              testing::kStandardError, "ulimit -f 20; ");
  CHECK_MESSAGE(o.exit_code == 3, o.output);
  CHECK_MESSAGE(contains(o, "out"), o.output);
  CHECK_FALSE(fs::exists(folder.path / "out"));
}

TEST_CASE("Ctrl-C leaves nothing that could be opened, whenever it comes") {
  const Folder folder;
  write(folder.path / "a.txt", testing::sentences(150000));
  testing::small_tokenizer().save(folder.path / "tokenizer.json");
  int interrupted = 0;
  for (const int milliseconds : {5, 30, 60, 100, 150, 250}) {
    const fs::path out = folder.path / "out";
    const pid_t child = fork();
    if (child == 0) {
      const int nothing = open("/dev/null", O_WRONLY);
      if (dup2(nothing, 1) < 0 || dup2(nothing, 2) < 0) _exit(99);
      execl((testing::build_folder() + "/blalm").c_str(), "blalm", "tokenize", "--input",
            (folder.path / "a.txt").c_str(), "--tokenizer", (folder.path / "tokenizer.json").c_str(), "--out",
            out.c_str(), nullptr);
      _exit(99);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    kill(child, SIGINT);
    int status = 0;
    waitpid(child, &status, 0);
    // Before the handler stands the signal ends the program; after that the program ends by itself.
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    CAPTURE(milliseconds);
    CHECK((code == 0 || code == 130));
    CHECK(is_prepared(out) == (code == 0));
    CHECK(fs::exists(out) == (code == 0));
    interrupted += code == 130 ? 1 : 0;
    fs::remove_all(out);
  }
  CHECK(interrupted > 0);
}

TEST_CASE("Ctrl-C leaves earlier data as it was, and says so") {
  const Folder folder;
  write(folder.path / "a.txt", testing::sentences(100));
  write(folder.path / "b.txt", testing::sentences(300000, 2));
  const std::string out = " --vocab-size 300 --replace --out " + folder / "out";
  REQUIRE(run_blalm("tokenize --input " + folder / "a.txt" + out).exit_code == 0);
  const auto files = [&] { return contents_of(folder.path / "out"); };
  const auto before = files();
  int interrupted = 0;
  for (const char* seconds : {"0.02", "0.05", "0.1", "0.15", "0.2", "0.3"}) {
    const Outcome o = run_blalm("tokenize --input " + folder / "b.txt" + out, testing::kStandardError,
                                std::string("timeout --preserve-status -s INT ") + seconds + " ");
    if (o.exit_code == 0) break;
    CHECK(o.exit_code == 130);
    const bool as_it_was = files() == before;
    if (!contains(o, "[tokenize] interrupted, '")) {  // before the handler stands, or after the work
      CHECK((as_it_was || is_prepared(folder.path / "out")));
      if (!as_it_was) break;
      continue;
    }
    CHECK(as_it_was);
    CHECK_MESSAGE(contains(o, "' is as it was\n"), o.output);
    ++interrupted;
  }
  CHECK(interrupted > 0);
}

TEST_CASE("the data of a run are not replaced, live or stopped") {
  const Folder folder;
  write(folder.path / "other.txt", testing::sentences(300));
  write(folder.path / "text.txt", testing::sentences(900));
  REQUIRE(run_blalm("train --run " + folder / "run" + " --data.train " + folder / "text.txt" +
                    " --data.vocab_size 300 --data.seq 32 --model.hidden_size 32 --model.num_hidden_layers 1 "
                    "--model.num_attention_heads 2 --model.intermediate_size 32 --train.batch 4 --optim.steps 2 "
                    "--train.threads 1 --train.valid_every 0 --train.sample_every 0")
              .exit_code == 0);
  const auto before = contents_of(folder.path / "run" / "data");
  for (const char* more : {"", " --replace"}) {
    const Outcome o = run_blalm("tokenize --input " + folder / "other.txt" + " --vocab-size 300 --out " + folder / "run" +
                                "/data" + more);
    CHECK_MESSAGE(o.exit_code == 2, o.output);
    CHECK_MESSAGE(contains(o, "expected a folder outside of runs"), o.output);
  }
  CHECK(contents_of(folder.path / "run" / "data") == before);
}

}  // namespace blalm
