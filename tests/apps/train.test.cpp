// blalm train as a user runs it: what it leaves, stopping, resuming, damaged checkpoints, full disks.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <vector>

#include "apps/train/checkpoint.h"
#include "tests/apps/train_support.h"
#include "tests/support/paths.h"

namespace blalm {
TEST_CASE("a run leaves its folder as described") {
  const Folder folder;
  const Outcome o = run_blalm(train_arguments(folder, "a"));
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  CHECK(contains(o.output, "step 30/30"));
  CHECK(contains(o.output, "step 30: held-out loss"));
  for (const char* file :
       {"config.toml", "run.json", "log.txt", "metrics.csv", "samples.txt", "last/model.safetensors",
        "last/config.json", "last/tokenizer.json", "last/optim.safetensors", "last/state.json", "last/DONE"})
    CHECK_MESSAGE(fs::exists(folder.path / "a" / file), file);
  const std::string metrics = read_text(folder.path / "a" / "metrics.csv");
  CHECK(std::count(metrics.begin(), metrics.end(), '\n') == 32);  // a header, step 0, 30 steps
  CHECK(metrics.starts_with(
      "step,words,tokens,seconds,loss,valid_loss,valid_bits_per_byte,lr,grad_norm,tokens_per_second\n"));
  CHECK(metrics_of(folder.path / "a")[1].at(0) == "0");
  CHECK(contains(o.output,
                 "step 0: held-out loss " + fmt::format("{:.4f}", std::stod(metrics_of(folder.path / "a")[1].at(5)))));
  const std::string log = read_text(folder.path / "a" / "log.txt");
  for (const char* line :
       {"Z  step  1/30  epoch", "Z  step 30/30  epoch", "Z  step 30: held-out loss", "Z  finished after 30 steps"})
    CHECK_MESSAGE(contains(log, line), log);

  const nlohmann::json json = nlohmann::json::parse(read_text(folder.path / "a" / "run.json"));
  CHECK(json.at("state") == "finished");
  CHECK(json.at("command").get<std::string>().ends_with("--train.valid_every 10 --train.valid_blocks 8"));
  CHECK(json.at("started") <= json.at("ended"));
  CHECK(json.at("steps") == 30);
  for (const char* fact : {"os", "compiler", "eigen", "onednn", "cpu", "memory_bytes", "threads", "seed", "blalm"})
    CHECK_MESSAGE(json.contains(fact), fact);

  CHECK(contains(read_text(folder.path / "a" / "config.toml"), "\nvocab_size = 300  "));  // in [model] as in [data]

  // Its config makes the same run again.
  fs::copy(folder.path / "a" / "config.toml", folder.path / "again.toml");
  const Outcome again = run_blalm("train " + folder / "again.toml" + " --run " + folder / "b");
  REQUIRE_MESSAGE(again.exit_code == 0, again.output);
  check_same_run(folder.path / "a", folder.path / "b");

  // A shell takes the recorded command as it was given.
  const std::string command = nlohmann::json::parse(read_text(folder.path / "b" / "run.json")).at("command");
  const Outcome third = testing::run_shell("set -- " + command + "; shift 2; echo \"$1\"");
  CHECK(third.output == (folder.path / "again.toml").string() + "\n");

  const Outcome there = run_blalm(train_arguments(folder, "a"));
  CHECK(there.exit_code == 2);
  CHECK(contains(there.output, "--resume auto continues it"));
  const Outcome other = run_blalm(train_arguments(folder, "a", "--resume auto --optim.lr 0.5"));
  CHECK(other.exit_code == 2);
  CHECK(contains(other.output, "optim.lr = 0.5 (was 0.003)"));
}

TEST_CASE("a damaged checkpoint is refused by name, and the one before it is used") {
  const Folder folder;
  // Two checkpoints: one at every save, so the interval is made as short as it can be. Copies of that run are damaged.
  REQUIRE(run_blalm(train_arguments(folder, "whole")).exit_code == 0);
  REQUIRE(run_blalm(train_arguments(folder, "saved", "--train.save_minutes 0.00001")).exit_code == 0);
  REQUIRE(fs::exists(folder.path / "saved" / "last.previous" / "DONE"));
  for (const std::string file :
       {"model.safetensors", "optim.safetensors", "state.json", "tokenizer.json", "config.json", "DONE"}) {
    for (const bool truncate : {true, false}) {
      const std::string run = file + (truncate ? "-cut" : "-flipped");
      fs::copy(folder.path / "saved", folder.path / run, fs::copy_options::recursive);
      const fs::path victim = folder.path / run / "last" / file;
      if (truncate) {
        fs::resize_file(victim, fs::file_size(victim) / 2);
      } else {
        std::string bytes = read_text(victim);
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x11);
        std::ofstream(victim, std::ios::binary) << bytes;
      }
      const Outcome o = run_blalm(train_arguments(folder, run, "--resume auto"));
      INFO(run);
      REQUIRE_MESSAGE(o.exit_code == 0, o.output);
      CHECK_MESSAGE(contains(o.output, "refused    last/" + file), o.output);
      CHECK_MESSAGE(contains(o.output, "last.previous"), o.output);
      check_same_run(folder.path / "whole", folder.path / run);
    }
  }
}

TEST_CASE("every checkpoint damaged: an error that names them all, and nothing is touched") {
  const Folder folder;
  REQUIRE(run_blalm(train_arguments(folder, "a", "--train.save_minutes 0.00001")).exit_code == 0);
  for (const char* name : {"last", "last.previous"})
    fs::resize_file(folder.path / "a" / name / "model.safetensors", 100);
  const Outcome o = run_blalm(train_arguments(folder, "a", "--resume auto"));
  CHECK(o.exit_code == 3);
  CHECK(contains(o.output, "last/model.safetensors: 100 bytes instead of"));
  CHECK(contains(o.output, "last.previous/model.safetensors: 100 bytes instead of"));
}

TEST_CASE("overfitting one batch brings its loss down; a dry run leaves nothing") {
  const Folder folder;
  const Outcome o = run_blalm(train_arguments(
      folder, "o", "--overfit 1 --optim.steps 300 --optim.lr 5e-3 --train.batch 4 --train.valid_every 0"));
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  const std::string metrics = read_text(folder.path / "o" / "metrics.csv");
  const std::string last = metrics.substr(metrics.rfind('\n', metrics.size() - 2) + 1);
  std::istringstream cells(last);
  std::string cell;
  for (int i = 0; i < 5; ++i) std::getline(cells, cell, ',');
  CHECK_MESSAGE(std::stod(cell) < 0.5, last);

  const Outcome dry = run_blalm(train_arguments(folder, "d", "--dry-run 3"));
  CHECK_MESSAGE(dry.exit_code == 0, dry.output);
  CHECK(contains(dry.output, "dry run of 3 steps done; nothing was written"));
  CHECK_FALSE(fs::exists(folder.path / "d"));
}

TEST_CASE("overfitting several batches takes them in turn, each of all its sequences") {
  const Folder folder;
  const std::string settings = "--overfit 3 --optim.lr 0 --optim.steps 6 --train.valid_every 0";
  const Outcome o = run_blalm(train_arguments(folder, "o", settings));
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  const auto rows = metrics_of(folder.path / "o");  // a header, then six steps
  REQUIRE(rows.size() == 7);
  const auto loss = [&](std::size_t step) { return rows[step][4]; };
  for (const std::size_t step : {1UL, 2UL, 3UL}) CHECK(loss(step) == loss(step + 3));
  CHECK(loss(1) != loss(2));
  CHECK(loss(2) != loss(3));
  CHECK(loss(1) != loss(3));
}

TEST_CASE("a run folder is one process's at a time") {
  const Folder folder;
  REQUIRE(run_blalm(train_arguments(folder, "a", "--optim.steps 2")).exit_code == 0);
  const int other = ::open((folder.path / "a").c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(flock(other, LOCK_EX | LOCK_NB) == 0);
  const Outcome o = run_blalm(train_arguments(folder, "a", "--optim.steps 2 --resume auto"));
  CHECK(o.exit_code == 3);
  CHECK_MESSAGE(contains(o.output, "got another process that writes there"), o.output);
  ::close(other);
  CHECK(run_blalm(train_arguments(folder, "a", "--optim.steps 2 --resume auto")).exit_code == 0);
}

TEST_CASE("a run is continued from any folder") {
  const Folder folder;
  testing::text_file(folder);
  fs::create_directories(folder.path / "elsewhere");
  const std::string in_folder = "cd " + folder / "" + "; ", elsewhere = "cd " + folder / "elsewhere" + "; ";
  REQUIRE(
      run_blalm("tokenize --input text.txt --vocab-size 300 --out data", testing::kBothStreams, in_folder).exit_code ==
      0);
  for (const std::string data : {"data", "./text.txt"}) {
    const std::string run = "run-of-" + data.substr(data.size() - 4);
    const std::string settings = train_arguments(folder, run, "--optim.steps 4 --data.train ");
    REQUIRE(run_blalm(settings + data, testing::kBothStreams, in_folder).exit_code == 0);
    const std::string resume = "train --run " + folder / run + " --resume auto";
    for (const Outcome& o : {run_blalm(resume, testing::kBothStreams, elsewhere),
                             run_blalm(settings + data + " --resume auto", testing::kBothStreams, in_folder),
                             run_blalm(settings + "../" + data + " --resume auto", testing::kBothStreams, elsewhere)})
      CHECK_MESSAGE((o.exit_code == 0 && contains(o, "resumed    at step 4 of 4")), o.output);
    CHECK(run_blalm(settings + "text.txt:100 --resume auto", testing::kBothStreams, in_folder).exit_code == 3);
  }
}

TEST_CASE("a run that cannot begin leaves no folder, and nothing in one that was there") {
  const Folder folder;
  write(folder.path / "empty.txt", "");
  write(folder.path / "binary.txt", std::string("a\0b", 3));
  fs::create_directories(folder.path / "no-text");
  fs::create_directories(folder.path / "no-data");
  write(folder.path / "no-data" / "data.json", "{}");
  REQUIRE(run_blalm("tokenize --input " + testing::text_file(folder) + " --vocab-size 300 --out " + folder / "cut")
              .exit_code == 0);
  fs::resize_file(folder.path / "cut" / "train-00000.bin", 100);
  testing::small_tokenizer({"<pad>"}).save(folder.path / "plain.json");
  const std::string text = " --data.train " + testing::text_file(folder),
                    plain = "--data.tokenizer " + folder / "plain.json";
  for (const std::string& wrong :
       {" --data.train " + folder / "nowhere.txt", " --data.train " + folder / "empty.txt",
        " --data.valid_share 0 --data.train " + folder / "empty.txt",
        " --data.valid_share 0 --data.train " + folder / "binary.txt", " --data.train " + folder / "no-text",
        " --data.train " + folder / "no-data", " --data.train " + folder / "cut",
        text + " --data.tokenizer " + folder / "nowhere.json", text + " --data.tokenizer " + folder / "empty.txt",
        text + " " + plain, text + " --data.valid " + folder / "empty.txt", text + " --data.seq 1M",
        text + " --train.patience 3 --train.valid_every 0"}) {
    CAPTURE(wrong);
    // New with those above it, there, and once in other spellings and new in one that is there.
    std::vector<std::string> runs = {"new/runs/x/", "there"};
    if (contains(wrong, "nowhere.txt")) runs.insert(runs.end(), {"new/a/../x", "new/.", "there/x"});
    for (const std::string& run : runs) {
      CAPTURE(run);
      fs::create_directories(folder.path / "there");
      const Outcome o = run_blalm("train --run " + folder / run + wrong);
      CHECK((o.exit_code == 2 || o.exit_code == 3));
      CHECK_MESSAGE(contains(error_of(o), "expected"), o.output);
      CHECK_FALSE(fs::exists(folder.path / "new"));
      CHECK(fs::is_empty(folder.path / "there"));
    }
  }
  const Outcome long_name = run_blalm("train --run " + folder / ("new/" + std::string(300, 'x')) + text);
  CHECK(long_name.exit_code == 3);
  CHECK_FALSE(fs::exists(folder.path / "new"));
}

TEST_CASE("the loss that is shown is a mean from the first step on, and goes on after a resume") {
  RunPosition position;
  position.add_loss(8);
  CHECK(position.recent_loss() == doctest::Approx(8).epsilon(1e-12));
  position.add_loss(4);
  CHECK(position.recent_loss() == doctest::Approx((0.95 * 8 + 4) / 1.95).epsilon(1e-12));
  position.add_loss(NAN);  // of a step that was skipped
  CHECK(position.recent_loss() == doctest::Approx((0.95 * 8 + 4) / 1.95).epsilon(1e-12));
  for (int i = 0; i < 1000; ++i) position.add_loss(2);
  CHECK(position.recent_loss() == doctest::Approx(2).epsilon(1e-12));
}

TEST_CASE("train runs the kernels that are asked for; one that declines or that nothing runs is an error") {
  const Folder folder;
  const std::string short_run = "--optim.steps 2 --train.sample_every 0 --train.histogram_every 0 ";
  REQUIRE(run_blalm(train_arguments(folder, "usual", short_run)).exit_code == 0);
  for (const std::string kernels : {"--backend cpu", "--composed", "--kernel matmul=reference"}) {
    CAPTURE(kernels);
    const Outcome o = run_blalm(train_arguments(folder, "run" + kernels.substr(2, 4), short_run + kernels));
    CHECK_MESSAGE(o.exit_code == 0, o.output);
    const double loss = std::stod(metrics_of(folder.path / ("run" + kernels.substr(2, 4))).back().at(4));
    CHECK(loss == doctest::Approx(std::stod(metrics_of(folder.path / "usual").back().at(4))).epsilon(1e-4));
  }
  for (const auto& [kernels, words] :
       {std::pair<std::string, std::string>{"--backend gpu", "[backend] expected auto, cpu or onednn, got gpu"},
        {"--kernel matmull=eigen", "did you mean matmul?"},
        {"--backend cpu --kernel matmul=onednn:f32", "an implementation that the backend allows"}}) {
    const Outcome o = run_blalm(train_arguments(folder, "x", short_run + kernels));
    const std::string expected = words;  // clang++ 14 captures no structured binding
    CHECK(o.exit_code == 2);
    CHECK_MESSAGE(contains(error_of(o), expected), o.output);
    CHECK_FALSE(fs::exists(folder.path / "x"));
  }
  const Outcome declined = run_blalm(train_arguments(folder, "y", short_run + "--kernel mlstm=amx:chunkwise"));
  CHECK(declined.exit_code == 2);
  CHECK_MESSAGE(contains(error_of(declined), "[mlstm] implementation amx:chunkwise was asked for but declines: "),
                declined.output);
  // After the work, which is saved.
  const Outcome idle = run_blalm(train_arguments(folder, "z", short_run + "--composed --kernel rms_norm=reference"));
  CHECK(idle.exit_code == 2);
  CHECK_MESSAGE(
      error_of(idle) == "blalm: [kernel] expected work that runs rms_norm=reference, got none (--kernel had no effect)",
      idle.output);
  CHECK(fs::exists(folder.path / "z" / "last" / "DONE"));
}

TEST_CASE("--help says what is true without arguments, and what each option takes") {
  const std::string help = run_blalm("train --help").output;
  for (const char* words : {"--optim.optimizer muon", "--data.vocab_size 4000", "--data.train PATH ", "--run DIR",
                            "--dry-run N", "--optim.lr X", "--train.batch N", "--data.shuffle BOOL",
                            "--train.valid_every N|N%", "--preset NAME", "mean loss of about the last 20 steps",
                            "--backend NAME", "--kernel KERNEL=NAME", "in training those of the tokenizer"})
    CHECK_MESSAGE(contains(std::regex_replace(help, std::regex("\\s+"), " "), words), words);
  for (const char* command : {"train", "generate", "tokenize"})
    CHECK_FALSE(contains(run_blalm(std::string(command) + " --help"), " arg "));
}

TEST_CASE("wrong settings are usage errors, wrong data is a data error, each in one line") {
  const Folder folder;
  std::ofstream(folder.path / "bad.toml") << "[optim]\nlr = 0.1\nlearning_rate = 3\n";
  std::ofstream(folder.path / "broken.toml") << "[optim\n";
  std::ofstream(folder.path / "empty.txt");
  const std::string run = " --run " + folder / "x";
  for (const auto& [command, code, words] :
       {std::tuple<std::string, int, std::string>{"train --optim.lrr 1" + run, 2, "did you mean optim.lr?"},
        {"train --optim.lr" + run.substr(0, 0), 2, "expected a value"},
        {"train --optim.lr fast" + run, 2, "expected a number or auto, got fast"},
        {"train --preset mlstmm" + run, 2, "expected one of transformer"},
        {"train " + folder / "bad.toml" + run, 2, "bad.toml:3: [config] expected a known key, got optim.learning_rate"},
        {"train " + folder / "broken.toml" + run, 2, "broken.toml:1"},
        {"train --resume yes" + run, 2, "expected auto, got yes"},
        {"train --resume auto", 2, "--run DIR"},
        {"train --data.train /nowhere.txt" + run, 3, "/nowhere.txt"},
        {"train --data.train " + folder / "empty.txt" + run, 3, "which is empty"},
        {train_arguments(folder, "y", "--train.micro_batch 3"), 2, "a divisor of train.batch"}}) {
    const std::string line = command;  // clang++ 14 captures no structured binding
    const Outcome o = run_blalm(line);
    INFO(line);
    CHECK_MESSAGE(o.exit_code == code, o.output);
    CHECK_MESSAGE(contains(o.output, words), o.output);
  }
}

TEST_CASE("validations at shares of a run come evenly and not twice at its end") {
  const Folder folder;
  REQUIRE(run_blalm(train_arguments(folder, "a", "--optim.steps 35 --train.valid_every 25%")).exit_code == 0);
  std::vector<std::string> steps;
  for (const std::vector<std::string>& row : metrics_of(folder.path / "a"))
    if (!row.at(5).empty()) steps.push_back(row.at(0));
  CHECK(steps == std::vector<std::string>{"step", "0", "9", "18", "27", "35"});
}

TEST_CASE("texts with commas stay whole, from TOML to the run's own config and to the samples") {
  const Folder folder;
  std::ofstream(folder.path / "c.toml") << "[train]\nprompts = [\"The cat, the dog\", 'A \\ and, a \"b\"']\n";
  REQUIRE(run_blalm("train " + folder / "c.toml" + train_arguments(folder, "a").substr(5)).exit_code == 0);
  CHECK(
      contains(read_text(folder.path / "a" / "config.toml"), R"(prompts = ["The cat, the dog", "A \\ and, a \"b\""])"));
  CHECK(contains(read_text(folder.path / "a" / "samples.txt"), "  The cat, the dog"));
  CHECK(contains(read_text(folder.path / "a" / "samples.txt"), "  A \\ and, a \"b\""));
  // As a flag, and as one that is given again.
  CHECK(contains(run_blalm("train --print-config --train.prompts 'one\\, two,three'"), R"(["one\\, two,three"])"));
  CHECK(
      contains(run_blalm("train --print-config --train.prompts 'one, two' --train.prompts ''"), R"(["one, two", ""])"));
}

TEST_CASE("files and folders with commas stay whole, from flags, TOML and a run's own config") {
  const Folder folder;
  fs::create_directories(folder.path / "x, y");
  for (const char* name : {"Tales, Vol. 1.txt", "Tales", " Vol. 1.txt", "x, y/a.txt", "b.txt"})
    write(folder.path / name, testing::sentences(600));
  const std::string here = folder.path.string() + "/", tales = here + "Tales, Vol. 1.txt";
  const auto trains_on = [&](const std::string& arguments) {
    const Outcome o = run_blalm("train --print-config " + arguments, testing::kBothStreams, "cd '" + here + "'; ");
    const std::size_t begin = o.output.find("\ntrain = ") + 9;
    return o.output.substr(begin, o.output.find(']', begin) + 1 - begin);
  };
  const std::string one = "[\"Tales, Vol. 1.txt\"]";
  CHECK(trains_on("--data.train 'Tales, Vol. 1.txt'") == one);
  CHECK(trains_on("--data.train='Tales, Vol. 1.txt:1k'") == "[\"Tales, Vol. 1.txt:1k\"]");
  CHECK(trains_on("--data.train 'x, y'") == "[\"x, y\"]");
  const std::string two = "[\"b.txt\", \"Tales, Vol. 1.txt\"]";
  CHECK(trains_on("--data.train b.txt --data.train 'Tales, Vol. 1.txt'") == two);
  write(folder.path / "scalar.toml", "[data]\ntrain = \"Tales, Vol. 1.txt\"\n");
  write(folder.path / "list.toml", "[data]\ntrain = [\"b.txt\", \"Tales, Vol. 1.txt\"]\n");
  CHECK(trains_on("scalar.toml") == one);
  CHECK(trains_on("list.toml") == two);
  CHECK(trains_on("list.toml --data.train 'Tales, Vol. 1.txt'") == one);
  // A list in one text is said to be taken for one.
  CHECK(trains_on("--data.train Tales,b.txt") == "[\"Tales\", \"b.txt\"]");
  CHECK(contains(run_blalm("train --print-config --data.train " + folder / "Tales" + "," + folder / "b.txt"),
                 "blalm: --data.train: there is no file '" + here + "Tales," + here + "b.txt'; taken for 2 files: '" +
                     here + "Tales', '" + here + "b.txt'\n"));
  // The file that is trained on is that one.
  const std::string run = train_arguments(folder, "a", "--optim.steps 1 --data.train '" + tales + "'");
  REQUIRE(run_blalm(run).exit_code == 0);
  CHECK(contains(read_text(folder.path / "a" / "data" / "data.json"), "\"path\": \"" + tales + "\""));
  CHECK(run_blalm(run + " --resume auto").exit_code == 0);
}

TEST_CASE("the recipes of docs/results are settings that exist") {
  const std::string recipe = "'" + testing::source_folder() + "/docs/results/nano-mlstm-muon.toml'";
  const Outcome o = run_blalm("train " + recipe + " --print-config");
  CHECK_MESSAGE(o.exit_code == 0, o.output);
  for (const std::string setting :
       {"strip_lines = true", "optimizer = \"muon\"", "epochs = 3", "seq = 512", "batch = 64", "hidden_size = 192",
        "warmup = \"5%\"", "min_lr = \"10%\"", "clip = 1.0"})
    CHECK_MESSAGE(contains(o, setting), setting);
}

TEST_CASE("--print-config gives TOML that means the same") {
  const Folder folder;
  const Outcome first = run_blalm(train_arguments(folder, "a", "--print-config"));
  REQUIRE(first.exit_code == 0);
  std::ofstream(folder.path / "c.toml") << first.output;
  CHECK(run_blalm("train " + folder / "c.toml" + " --print-config").output == first.output);
  CHECK_FALSE(fs::exists(folder.path / "a"));
}

TEST_SUITE("slow") {
  TEST_CASE("the model is kept at every million words seen, as a model folder") {
    const Folder folder;
    std::ofstream(folder.path / "many.txt") << testing::sentences(230'000);  // 1.15M words
    const std::string settings =
        "--data.valid_share 0 --data.seq 128 --model.hidden_size 16 --model.num_hidden_layers 1 --train.batch 64 "
        "--train.micro_batch 64 --optim.steps 0 --train.epochs 2 --train.histogram_every 0 --data.train " +
        folder / "many.txt";
    const Outcome o = run_blalm(train_arguments(folder, "a", settings));
    REQUIRE_MESSAGE(o.exit_code == 0, o.output);
    for (const std::string name : {"chck_1M", "chck_2M"}) {
      for (const char* file : {"model.safetensors", "config.json", "tokenizer.json"})
        CHECK_MESSAGE(fs::exists(folder.path / "a" / name / file), name << "/" << file);
      CHECK(run_blalm("generate --model " + folder / ("a/" + name) + " --prompt 'The cat' --max-tokens 3").exit_code ==
            0);
    }
    CHECK_FALSE(fs::exists(folder.path / "a" / "chck_3M"));
    CHECK(read_text(folder.path / "a" / "chck_1M" / "model.safetensors") !=
          read_text(folder.path / "a" / "last" / "model.safetensors"));
  }
}

}  // namespace blalm
