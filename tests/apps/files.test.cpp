// What is no file where a file is asked for: each command ends with a line, whatever argument names it.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "tests/apps/train_support.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;
using testing::contains;
using testing::Folder;
using testing::Outcome;
using testing::run_blalm;
using testing::train_arguments;

void put_pipe(const fs::path& path) {
  fs::remove(path);
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
}

// Ends after a while: a pipe that nobody writes to would be waited for without end.
Outcome run_for_a_while(const std::string& arguments) {
  return run_blalm(arguments, testing::kBothStreams, "timeout 120 ");
}

}  // namespace

TEST_CASE("a pipe or device in the place of a file that is read or written is named, not waited for") {
  const Folder folder;
  put_pipe(folder.path / "pipe");
  put_pipe(folder.path / "tokenizer.json");
  put_pipe(folder.path / "merges.txt");
  std::ofstream(folder.path / "vocab.json") << "{}";
  const std::string text = testing::text_file(folder), pipe = folder / "pipe";
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"}) {
    testing::save_small_model(folder.path / ("model-" + std::string(file)));
    put_pipe(folder.path / ("model-" + std::string(file)) / file);
  }
  const std::string tokenize = "tokenize --vocab-size 300 --out " + folder / "out" + " --input ";
  REQUIRE(run_blalm(tokenize + text).exit_code == 0);
  for (const char* file : {"data.json", "train-00000.bin", "tokenizer.json"}) {
    const fs::path copy = folder.path / ("data-" + std::string(file));
    fs::copy(folder.path / "out", copy);
    put_pipe(copy / file);
  }
  REQUIRE(run_blalm(train_arguments(folder, "run", "--optim.steps 2")).exit_code == 0);
  std::vector<std::string> lines = {
      "train " + pipe,
      "train /dev/zero",
      train_arguments(folder, "new", "--data.train " + pipe),
      train_arguments(folder, "new", "--data.train /dev/zero"),
      train_arguments(folder, "new", "--data.valid " + pipe),
      train_arguments(folder, "new", "--data.tokenizer " + pipe),
      train_arguments(folder, "new", "--data.tokenizer " + folder / ""),
      train_arguments(folder, "new", "--data.tokenizer " + folder / "vocab.json"),
      train_arguments(folder, "pipe"),
      "train --run " + folder / "new" + " --data.train " + folder / "data-data.json",
      "train --run " + folder / "new" + " --data.train " + folder / "data-train-00000.bin",
      "train --run " + folder / "new" + " --data.train " + folder / "data-tokenizer.json",
      tokenize + pipe,
      tokenize + text + " --valid " + pipe,
      "tokenize --out " + folder / "more" + " --input " + text + " --tokenizer " + pipe,
      "tokenize --out " + pipe + " --input " + text,
      "generate --prompt x --model " + pipe,
      "inspect model --model " + pipe,
      "inspect model --model " + folder / "model-config.json",
      "inspect model --out " + pipe,
      "check " + pipe,
      "bench decode --json " + pipe,
  };
  for (const char* file : {"config.json", "model.safetensors", "tokenizer.json"})
    lines.push_back("generate --prompt x --model " + folder / ("model-" + std::string(file)));
  for (const std::string& line : lines) {
    const Outcome o = run_for_a_while(line);
    CAPTURE(line);
    CHECK_MESSAGE((o.exit_code == 2 || o.exit_code == 3), o.output);
    CHECK_MESSAGE(contains(o, "expected "), o.output);
  }
  // A run that goes on.
  for (const char* file : {"config.toml", "run.json", "log.txt", "metrics.csv", "last/DONE", "last/model.safetensors",
                           "last/state.json", "data/data.json"}) {
    CAPTURE(file);
    fs::remove_all(folder.path / "again");
    fs::copy(folder.path / "run", folder.path / "again", fs::copy_options::recursive);
    put_pipe(folder.path / "again" / file);
    const Outcome o = run_for_a_while(train_arguments(folder, "again", "--optim.steps 2 --resume auto"));
    CHECK_MESSAGE(o.exit_code != 124, o.output);
    CHECK_MESSAGE((contains(o, "pipe") || contains(o, "got one with 'data.json'")), o.output);
  }
}

}  // namespace blalm
