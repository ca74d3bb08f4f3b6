// What goes wrong around blalm train: full disks, texts of all kinds, data that does not belong together.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "data/shards/prepared.h"
#include "data/shards/token_data.h"
#include "tests/apps/train_support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(folder)) files[entry.path().filename()] = read_text(entry.path());
  return files;
}

std::string last_loss(const fs::path& run) { return metrics_of(run).back().at(4); }

}  // namespace

TEST_CASE("a checkpoint that finds no room is said, and at the end it is an error in one line") {
  const Folder folder;
  // No file may be larger than 16 KiB: enough for the data and for 30 lines of metrics, too little for a model.
  const std::string settings = "--train.histogram_every 0 --train.save_minutes 0.00001 --data.words 1000";
  const Outcome o = run_blalm(train_arguments(folder, "a", settings), testing::kBothStreams, "ulimit -f 32; ");
  CHECK(o.exit_code == 3);
  CHECK_MESSAGE(contains(o, "the checkpoint could not be saved, and there is none yet: [write] expected"), o.output);
  CHECK_MESSAGE(contains(error_of(o), "expected the checkpoint of step 30 to be saved in"), o.output);
  CHECK_FALSE(fs::exists(folder.path / "a" / "last"));
  CHECK_FALSE(fs::exists(folder.path / "a" / "last.new"));  // would take the room that others need
  CHECK(contains(read_text(folder.path / "a" / "run.json"), "\"state\": \"failed\""));
  CHECK(contains(read_text(folder.path / "a" / "log.txt"), "expected the checkpoint of step 30 to be saved"));

  // With room again the run begins again, for it had saved nothing.
  CHECK(run_blalm(train_arguments(folder, "a", settings + " --resume auto")).exit_code == 0);
}

TEST_CASE("texts of all kinds") {
  const Folder folder;
  write(folder.path / "good.txt", testing::sentences(400));
  write(folder.path / "empty.txt", "");
  write(folder.path / "blank.txt", "\n \n\t\n");
  write(folder.path / "binary.txt", std::string("PK\x03\x04\0\0", 6) + testing::sentences(10));
  write(folder.path / "latin1.txt", "Caf\xE9 au lait, na\xEFve.\n\xFF\xFE\xFD\n");
  write(folder.path / "cut.txt.gz", "\x1F\x8B\x08");
  const auto train = [&](const std::string& run, const std::string& files, const std::string& more = "") {
    return run_blalm(train_arguments(folder, run, "--optim.steps 3 --data.train " + files + " " + more));
  };
  const std::string here = folder.path.string() + "/";

  SUBCASE("an empty file among others adds nothing") {
    const Outcome o = train("a", "'" + here + "good.txt," + here + "empty.txt," + here + "blank.txt'");
    CHECK_MESSAGE(o.exit_code == 0, o.output);
    const Outcome alone = train("b", folder / "good.txt");
    CHECK(last_loss(folder.path / "a") == last_loss(folder.path / "b"));
  }
  SUBCASE("nothing but empty files, binary files and damaged ones are refused by name") {
    for (const auto& [file, words] : std::map<std::string, std::string>{{"empty.txt", "empty.txt', which is empty"},
                                                                        {"blank.txt", "no words in"},
                                                                        {"binary.txt", "a NUL byte at offset 4"},
                                                                        {"cut.txt.gz", "cut.txt.gz"}}) {
      const Outcome o = train("of-" + file, folder / file, "--data.valid_share 0");
      CHECK(o.exit_code == 3);
      const std::string expected = words;  // clang++ 14 captures no structured binding
      CHECK_MESSAGE(contains(error_of(o), expected), o.output);
      CHECK_MESSAGE(contains(error_of(o), file), o.output);
      CHECK_FALSE(fs::exists(folder.path / ("of-" + file)));
    }
    // Held out of or not, it is the file that is named.
    for (const std::string file : {"empty.txt", "blank.txt"})
      CHECK(contains(error_of(train("held-out", folder / file)),
                     "expected text to train on, got no words in '" + here + file));
    const Outcome valid = train("v", folder / "good.txt", "--data.valid " + folder / "empty.txt");
    CHECK(valid.exit_code == 3);
    CHECK_MESSAGE(contains(error_of(valid), "[data.valid] expected validation text, got no words in '" + here +
                                                "empty.txt', which is empty"),
                  valid.output);
  }
  SUBCASE("bytes that are not UTF-8 are kept") {
    const Outcome o =
        train("a", folder / "latin1.txt" + " --data.train " + folder / "good.txt", "--data.valid_share 0");
    CHECK_MESSAGE(o.exit_code == 0, o.output);
    const TokenData data = TokenData::open(folder.path / "a" / "data", Part::train);
    std::vector<std::int32_t> ids(40);
    data.read(0, ids);
    CHECK(
        Tokenizer::load(folder.path / "a" / "data").decode(ids).starts_with("Caf\xE9 au lait, na\xEFve.\xFF\xFE\xFD"));
  }
  SUBCASE("a vocabulary larger than the text supports is said") {
    const Outcome o = train("a", folder / "good.txt", "--data.vocab_size 50k");
    CHECK_MESSAGE(o.exit_code == 0, o.output);
    CHECK_MESSAGE(contains(o, "(the text has no more than that of 50000)"), o.output);
    CHECK(contains(read_text(folder.path / "a" / "last" / "config.json"), "\"vocab_size\": 3"));
  }
  SUBCASE("a text shorter than a block") {
    write(folder.path / "short.txt", "One line.\nTwo lines.\n");
    const Outcome o = train("a", folder / "short.txt", "--data.valid_share 0 --data.seq 512");
    CHECK(o.exit_code == 3);
    CHECK_MESSAGE(
        contains(error_of(o), "[data.train] expected training text of at least one block of data.seq = 512 tokens"),
        o.output);
    CHECK_FALSE(fs::exists(folder.path / "a"));
  }
  SUBCASE("held-out text shorter than a block") {
    const Outcome o = train("a", folder / "good.txt", "--data.valid_share 0.01 --data.seq 128");
    CHECK(o.exit_code == 3);
    CHECK_MESSAGE(
        contains(error_of(o), "[data.valid] expected held-out text of at least one block of data.seq = 128 tokens"),
        o.output);
    CHECK_MESSAGE(contains(error_of(o), "data.valid_share 0)"), o.output);
  }
}

TEST_CASE("data prepared once trains any number of runs; shards of another tokenizer are refused") {
  const Folder folder;
  write(folder.path / "a.txt", testing::sentences(600, 1));
  write(folder.path / "b.txt", "Many other words make quite another tokenizer here.\n" + testing::sentences(600, 2));
  for (const std::string name : {"a", "b"}) {
    const Outcome o = run_blalm("tokenize --input " + folder / (name + ".txt") + " --vocab-size 300 --out " +
                                folder / ("data-" + name));
    REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  }
  // With the text itself, or with the data made of it by the same settings: the same run.
  const auto train = [&](const std::string& run, const std::string& data) {
    return run_blalm(train_arguments(folder, run, "--optim.steps 5 --data.train " + data));
  };
  REQUIRE(train("text", folder / "a.txt").exit_code == 0);
  const Outcome o = train("data", folder / "data-a");
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  CHECK_MESSAGE(contains(o, "data       "), o.output);
  check_same_run(folder.path / "text", folder.path / "data");
  CHECK_FALSE(fs::exists(folder.path / "data" / "data"));

  const auto refused = [&](const std::string& what) {
    const Outcome wrong = train("other-" + what, folder / "data-a");
    CHECK(wrong.exit_code == 3);
    CHECK_MESSAGE(contains(error_of(wrong), what), wrong.output);
  };
  const auto options = fs::copy_options::overwrite_existing;
  fs::copy_file(folder.path / "data-a" / "train-00000.bin", folder.path / "kept.bin");
  fs::copy_file(folder.path / "data-b" / "train-00000.bin", folder.path / "data-a" / "train-00000.bin", options);
  refused("train-00000.bin");
  fs::copy_file(folder.path / "kept.bin", folder.path / "data-a" / "train-00000.bin", options);
  fs::copy_file(folder.path / "data-b" / "tokenizer.json", folder.path / "data-a" / "tokenizer.json", options);
  refused("tokenizer");
  fs::remove(folder.path / "data-a" / "tokenizer.json");
  refused("tokenizer.json");
}

TEST_CASE("patience ends a run that no longer gains, and it stays ended") {
  const Folder folder;
  // At a learning rate of 0 nothing is better than the first weights.
  const std::string settings = "--optim.lr 0 --optim.steps 100 --train.valid_every 5 --train.patience 2 ";
  const Outcome o = run_blalm(train_arguments(folder, "a", settings));
  CHECK_MESSAGE(o.exit_code == 0, o.output);
  CHECK(contains(o, "stopped early after 10 steps"));
  CHECK_MESSAGE(contains(o, "after step 0; that model is in "), o.output);
  CHECK(contains(read_text(folder.path / "a" / "run.json"), "\"state\": \"stopped early\""));
  CHECK(metrics_of(folder.path / "a").back().at(0) == "10");
  const Outcome again = run_blalm(train_arguments(folder, "a", settings + "--resume auto"));
  CHECK_MESSAGE(contains(again, "stopped early after 10 steps"), again.output);

  // While there is a gain it goes on.
  CHECK(contains(run_blalm(train_arguments(folder, "b", "--train.patience 1")), "finished after 30 steps"));
  const Outcome nothing = run_blalm(train_arguments(folder, "c", "--data.valid_share 0 --train.patience 1"));
  CHECK(nothing.exit_code == 2);
  CHECK_MESSAGE(contains(error_of(nothing), "train.patience"), nothing.output);
}

TEST_CASE("best/ holds the model of the smallest held-out loss, and is what it was before") {
  const Folder folder;
  // A few sentences are soon learned by heart.
  write(folder.path / "few.txt", testing::sentences(25, 7));
  const std::string settings = "--data.train " + folder / "few.txt" + " --data.valid " + testing::text_file(folder) +
                               " --optim.lr 2e-2 --optim.steps 100 --train.valid_every 10 --train.sample_every 0 ";
  const Outcome o = run_blalm(train_arguments(folder, "a", settings + "--train.patience 3"));
  REQUIRE_MESSAGE(o.exit_code == 0, o.output);
  std::string best = "0";
  double loss = 1e9;
  const auto rows = metrics_of(folder.path / "a");
  for (std::size_t i = 1; i < rows.size(); ++i)
    if (!rows[i].at(5).empty() && std::stod(rows[i].at(5)) < loss) {
      best = rows[i].at(0);
      loss = std::stod(rows[i].at(5));
    }
  REQUIRE(best != "0");
  REQUIRE(best != rows.back().at(0));
  CHECK_MESSAGE(
      contains(o, fmt::format("the best held-out loss was {:.4f} after step {}; that model is in", loss, best)),
      o.output);
  CHECK(std::to_string(state_in(folder.path / "a" / "best").at("step").get<int>()) == best);
  CHECK(read_text(folder.path / "a" / "best" / "model.safetensors") !=
        read_text(folder.path / "a" / "last" / "model.safetensors"));
  CHECK(run_blalm("generate --model " + folder / "a/best" + " --prompt 'The cat' --max-tokens 3").exit_code == 0);
  CHECK_FALSE(fs::exists(folder.path / "a" / "best.previous"));

  // Damaged, it is not called the best.
  fs::resize_file(folder.path / "a" / "best" / "model.safetensors", 100);
  const Outcome again = run_blalm(train_arguments(folder, "a", settings + "--train.patience 3 --resume auto"));
  CHECK_MESSAGE(contains(again, "after step " + best + "; it could not be saved"), again.output);
}

TEST_CASE("a dry run writes where nobody could have put a link before") {
  const Folder folder;
  fs::create_directories(folder.path / "victim");
  fs::create_directories(folder.path / "tmp");
  for (const char* name : {"train-mine.bin", "tokenizer.json", "data.json"})
    std::ofstream(folder.path / "victim" / name) << "precious";
  const Outcome o = testing::run_shell("export TMPDIR=" + folder / "tmp" + "; bash -c \"ln -s " + folder / "victim" +
                                       " \\$TMPDIR/blalm-dry-run-\\$\\$; exec '" + testing::build_folder() +
                                       "/blalm' " + train_arguments(folder, "d", "--dry-run 2") + "\" 2>&1");
  CHECK_MESSAGE(o.exit_code == 0, o.output);
  for (const char* name : {"train-mine.bin", "tokenizer.json", "data.json"})
    CHECK(read_text(folder.path / "victim" / name) == "precious");
  CHECK(std::distance(fs::directory_iterator(folder.path / "victim"), {}) == 3);
  CHECK(std::distance(fs::directory_iterator(folder.path / "tmp"), {}) == 1);  // the link
  CHECK(run_blalm(train_arguments(folder, "d", "--dry-run 2"), testing::kBothStreams, "TMPDIR=/nowhere ").exit_code ==
        3);
}

TEST_CASE("a dry run leaves nothing, whether it ends well or not") {
  const Folder folder;
  fs::create_directories(folder.path / "tmp");
  const std::string before = "TMPDIR=" + folder / "tmp" + " ";
  const auto dry = [&](const std::string& more) {
    return run_blalm(train_arguments(folder, "d", "--dry-run 3 " + more), testing::kBothStreams, before);
  };
  const Outcome o = dry("");
  CHECK_MESSAGE(o.exit_code == 0, o.output);
  CHECK_MESSAGE(contains(o, "dry run of 3 steps done; nothing was written; a whole run of 30 steps takes about"),
                o.output);
  CHECK(contains(run_blalm(train_arguments(folder, "d", "--dry-run 1")), "dry run of 1 step done;"));
  CHECK(dry("--optim.lr 1e38 --optim.clip 0 --optim.warmup 0 --anomaly").exit_code == 4);
  CHECK(dry("--data.seq 1M").exit_code == 3);
  CHECK_FALSE(fs::exists(folder.path / "d"));
  CHECK(fs::is_empty(folder.path / "tmp"));
}

TEST_CASE("numbers that are not finite: skipped steps are said, and --anomaly names the operation") {
  const Folder folder;
  const std::string settings = "--optim.lr 1e38 --optim.weight_decay 1e9 --optim.warmup 0 --optim.steps 6 ";
  const Outcome o = run_blalm(train_arguments(folder, "a", settings));
  CHECK_MESSAGE(o.exit_code == 4, o.output);
  CHECK_MESSAGE(contains(o, "skipped, the gradient of"), o.output);
  for (const std::string& text : {o.output, read_text(folder.path / "a" / "metrics.csv")}) {
    CHECK(contains(text, "nan"));
    CHECK_FALSE(contains(text, "-nan"));
  }
  CHECK_MESSAGE(contains(o, "no sample: [generate] expected finite logits"), o.output);

  const Outcome stopped = run_blalm(train_arguments(folder, "b", settings + "--anomaly"));
  CHECK(stopped.exit_code == 4);
  CHECK_MESSAGE(contains(error_of(stopped), "[anomaly] "), stopped.output);
  CHECK_MESSAGE(contains(error_of(stopped), "numbers are not finite"), stopped.output);
  CHECK(contains(read_text(folder.path / "b" / "run.json"), "\"state\": \"failed\""));
  CHECK(contains(read_text(folder.path / "b" / "log.txt"), "[anomaly]"));
  // Where nothing is wrong it changes nothing.
  REQUIRE(run_blalm(train_arguments(folder, "c")).exit_code == 0);
  REQUIRE(run_blalm(train_arguments(folder, "d", "--anomaly")).exit_code == 0);
  check_same_run(folder.path / "c", folder.path / "d");
}

TEST_SUITE("slow") {
  TEST_CASE("a disk that fills up while a run goes on: an error in one line, and nothing saved is lost") {
    const Folder folder;
    const std::string settings =
        "--optim.steps 2000 --train.valid_every 500 --train.histogram_every 0 --train.save_minutes 0.002 ";
    REQUIRE(run_blalm(train_arguments(folder, "whole", settings)).exit_code == 0);
    const fs::path run = folder.path / "run";

    SUBCASE("by a limit on the size of files, which metrics and events reach") {
      const Outcome o = run_blalm(train_arguments(folder, "run", settings), testing::kBothStreams, "ulimit -f 600; ");
      CHECK(o.exit_code == 3);
      CHECK_MESSAGE(contains(error_of(o), "expected a writable file"), o.output);
      CHECK_MESSAGE(contains(error_of(o), "File too large"), o.output);
      REQUIRE(fs::exists(run / "last" / "DONE"));
      CHECK(contains(read_text(run / "run.json"), "\"state\": \"failed\""));

      // Not even a checkpoint finds room: what was saved stays as it is.
      const auto before = files_of(run / "last");
      const Outcome again = run_blalm(train_arguments(folder, "run", settings + "--resume auto"), testing::kBothStreams,
                                      "ulimit -f 32; ");
      CHECK(again.exit_code == 3);
      CHECK(contains(error_of(again), "File too large"));
      CHECK(files_of(run / "last") == before);
    }
    SUBCASE("by a small file system") {
      // Room for the data and two checkpoints, which a third or the metrics use up.
      const std::string mount = "mount -t tmpfs -o size=1200k none " + folder / "disk" + " && ";
      fs::create_directories(folder.path / "disk");
      if (testing::run_shell("unshare -m sh -c \"" + mount + "true\" 2>&1").exit_code != 0) {
        MESSAGE("not tested: no right to mount a file system");
        return;
      }
      const Outcome o = testing::run_shell("unshare -m sh -c \"" + mount + "'" + testing::build_folder() + "/blalm' " +
                                           train_arguments(folder, "disk/run", settings) + " 2>&1; code=\\$?; cp -r " +
                                           folder / "disk/run" + " " + folder / "run" + "; exit \\$code\"");
      CHECK_MESSAGE(o.exit_code == 3, o.output);
      CHECK_MESSAGE(contains(error_of(o), "blalm: ["), o.output);
      CHECK_MESSAGE((contains(o, "No space left on device")), o.output);
      REQUIRE(fs::exists(run / "last" / "DONE"));
    }
    const Outcome resumed = run_blalm(train_arguments(folder, "run", settings + "--resume auto"));
    REQUIRE_MESSAGE(resumed.exit_code == 0, resumed.output);
    CHECK(contains(resumed, "resumed    at step"));
    check_same_run(folder.path / "whole", run);
  }

  TEST_CASE("a line of 100 MB is prepared and trained on, nothing lost") {
    const Folder folder;
    std::string line;
    for (int i = 0; line.size() < 100'000'000; ++i)
      line.append("The cat saw ").append(std::to_string(i)).append(" balls. ");
    line.back() = '\n';
    write(folder.path / "long.txt", line);
    testing::small_tokenizer().save(folder.path / "tokenizer.json");
    for (const std::string run : {"given", "trained"}) {
      const std::string tokenizer = run == "given" ? " --data.tokenizer " + folder / "tokenizer.json" : "";
      const Outcome o = run_blalm(train_arguments(
          folder, run, "--optim.steps 2 --data.valid_share 0 --data.train " + folder / "long.txt" + tokenizer));
      CHECK_MESSAGE(o.exit_code == 0, o.output);
      const PreparedData data = read_prepared(folder.path / run / "data");
      CHECK(data.train.bytes() == static_cast<std::int64_t>(line.size()));
      CHECK(data.train.words() == std::ranges::count(line, ' ') + 1);
      CHECK(data.train.lines() == 1);
    }
    // One word without an end, too.
    std::string letters(100'000'000, 'a');
    letters += '\n';
    write(folder.path / "letters.txt", letters);
    const Outcome o = run_blalm(train_arguments(
        folder, "letters", "--optim.steps 2 --data.valid_share 0 --data.train " + folder / "letters.txt"));
    CHECK_MESSAGE(o.exit_code == 0, o.output);
    CHECK(read_prepared(folder.path / "letters" / "data").train.bytes() == static_cast<std::int64_t>(letters.size()));
  }
}

}  // namespace blalm
