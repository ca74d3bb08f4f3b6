// blalm train that is stopped: by signals at every stage, and killed at any moment.
#include <signal.h>

#include <chrono>

#include "engine/core/rng.h"
#include "tests/apps/started.h"
#include "tests/apps/train_support.h"

namespace blalm {
namespace {

using Clock = std::chrono::steady_clock;
using testing::sleep_seconds;
using testing::Started;

bool has_row(const fs::path& run, const std::string& step) {
  const std::string text = read_text(run / "metrics.csv");
  return text.starts_with(step + ",") || contains(text, "\n" + step + ",");
}

}  // namespace

TEST_CASE(
    "SIGTERM, Ctrl-C and a hang-up save, say where and exit with 130; the resumed run has the bits of one never "
    "stopped") {
  const Folder folder;
  REQUIRE(run_blalm(train_arguments(folder, "whole", kManyLines)).exit_code == 0);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    const std::string run = "cut-" + std::to_string(signal);
    Started started(train_arguments(folder, run, kManyLines));
    REQUIRE(started.wait_until([&] { return started.written() > 1500; }));  // of more than 10,000
    started.kill(signal);
    const Outcome stopped = started.finish();
    CHECK(stopped.exit_code == 130);
    CHECK_MESSAGE(contains(stopped, "stopping after this step, then saving; Ctrl-C again stops at once"),
                  stopped.output);
    CHECK_MESSAGE(contains(stopped, "interrupted after"), stopped.output);
    CHECK_MESSAGE(contains(stopped, "continue with: blalm train --run"), stopped.output);
    CHECK_FALSE(contains(stopped, "step 100"));
    CHECK(fs::exists(folder.path / run / "last" / "DONE"));
    CHECK(contains(read_text(folder.path / run / "run.json"), "\"state\": \"interrupted\""));
    const Outcome resumed = run_blalm(train_arguments(folder, run, kManyLines + "--resume auto"));
    REQUIRE_MESSAGE(resumed.exit_code == 0, resumed.output);
    CHECK(contains(resumed.output, "resumed    at step"));
    check_same_run(folder.path / "whole", folder.path / run);
  }
}

TEST_CASE("a second Ctrl-C ends it at once") {
  const Folder folder;
  Started started(train_arguments(folder, "a", kManyLines));
  REQUIRE(started.wait_until([&] { return started.written() > 1500; }));
  int quiet = 0;  // until it waits in the full pipe, from which only a signal can free it
  REQUIRE(started.wait_until([&] { return (quiet = started.is_asleep() ? quiet + 1 : 0) == 200; }));
  started.kill(SIGINT);
  REQUIRE(started.wait_until([&] { return !started.has_pending_signal(); }));
  started.kill(SIGINT);
  CHECK(started.finish().exit_code == 128 + SIGINT);
}

TEST_CASE("what a stopped run says to go on with can be pasted into a shell") {
  const Folder folder;
  const std::string run = folder.path.string() + "/it's my $HOME run";
  Started started("train --run \"" + folder.path.string() + "/it's my \\$HOME run\"" +
                  train_arguments(folder, "x", "--optim.steps 100000 --train.valid_every 0 ").substr(std::string("train --run " + folder / "x").size()));
  REQUIRE(started.wait_until([&] { return fs::exists(fs::path(run) / "last" / "DONE"); }));
  started.kill(SIGINT);
  const Outcome o = started.finish();
  CHECK(o.exit_code == 130);
  const std::string said = "continue with: blalm ";
  const std::size_t at = o.output.find(said);
  REQUIRE_MESSAGE(at != std::string::npos, o.output);
  const std::string arguments = o.output.substr(at + said.size(), o.output.find('\n', at) - at - said.size());
  CHECK_MESSAGE(arguments.ends_with(" --resume"), arguments);
  const std::string steps = std::to_string(state_in(fs::path(run) / "last").at("step").get<int>() + 1);
  const Outcome resumed = run_blalm(arguments + " --optim.steps " + steps);
  CHECK_MESSAGE(resumed.exit_code == 0, resumed.output);
  CHECK(run_blalm(arguments + " --dry-run 2").exit_code == 2);
}

TEST_CASE("a signal breaks off a validation, which is made up for when the run is resumed") {
  const Folder folder;
  // Three quick steps, then a validation of all that is held out, again and again.
  const std::string settings =
      "--data.valid_share 0.5 --train.batch 4 --optim.steps 9 --train.valid_every 3 --train.valid_blocks 0 "
      "--train.sample_every 0 --train.histogram_every 0 --data.seq 16 ";
  std::ofstream(folder.path / "long.txt") << testing::sentences(15'000);
  const std::string text = "--data.train " + folder / "long.txt" + " ";
  REQUIRE(run_blalm(train_arguments(folder, "whole", settings + text)).exit_code == 0);
  // Before the first step, and after one: `row` is the last line of metrics.csv before the validation.
  for (const std::string row : {"step", "2"}) {
    bool broken_off = false;
    for (int attempt = 0; attempt < 20 && !broken_off; ++attempt) {
      const std::string run = "cut-" + row + "-" + std::to_string(attempt);
      const fs::path path = folder.path / run;
      Started started(train_arguments(folder, run, settings + text));
      REQUIRE(started.wait_until([&] { return has_row(path, row); }));
      sleep_seconds(0.0005 * attempt * attempt);  // how long after that line a validation begins depends on the machine
      started.kill(SIGTERM);
      const Outcome o = started.finish();
      REQUIRE_MESSAGE(o.exit_code == 130, o.output);
      const nlohmann::json state = state_in(path / "last");
      broken_off = row == "step" ? metrics_of(path).size() == 1 : state.contains("unfinished");
      if (broken_off) CHECK(metrics_of(path).back().at(0) == row);
      const Outcome resumed = run_blalm("train --resume auto --run " + folder / run);
      REQUIRE_MESSAGE(resumed.exit_code == 0, resumed.output);
      check_same_run(folder.path / "whole", path);
    }
    CHECK_MESSAGE(broken_off, "no signal came during a validation");
  }
}

TEST_CASE("a signal during the preparation of the text leaves nothing") {
  const Folder folder;
  std::ofstream(folder.path / "long.txt") << testing::sentences(200'000);
  for (const int signal : {SIGTERM, SIGHUP}) {
    bool in_time = false;
    for (int attempt = 0; attempt < 20 && !in_time; ++attempt) {
      const std::string run = "runs-" + std::to_string(signal) + "-" + std::to_string(attempt);
      Started started(train_arguments(folder, run + "/a", "--data.train " + folder / "long.txt"));
      REQUIRE(started.wait_until([&] { return fs::exists(folder.path / run / "a"); }));
      started.kill(signal);
      const Outcome o = started.finish();
      REQUIRE_MESSAGE(o.exit_code == 130, o.output);
      in_time = contains(o, "interrupted before training began; there is nothing to save");
      CHECK(fs::exists(folder.path / run) != in_time);
    }
    CHECK_MESSAGE(in_time, "no signal came during the preparation");
  }
}

TEST_CASE("data that a live run reads is read by others too, and replaced by nobody") {
  const Folder folder;
  const std::string tokenize = "tokenize --input " + testing::text_file(folder) + " --vocab-size 300 --out ";
  REQUIRE(run_blalm(tokenize + folder / "data").exit_code == 0);
  // Prepared before, and of the run's own.
  for (const std::string run : {"a", "b"}) {
    const std::string data = folder / (run == "a" ? "data" : "b/data");
    Started started(train_arguments(folder, run, kManyLines + (run == "a" ? "--data.train " + data : "")));
    REQUIRE(started.wait_until([&] { return started.written() > 1500; }));
    const Outcome replacing = run_blalm(tokenize + data + " --replace --data.valid_share 0");
    CHECK(replacing.exit_code == (run == "a" ? 3 : 2));
    CHECK_MESSAGE(contains(replacing, run == "a" ? "got another process that reads it" : "a folder outside of runs"),
                  replacing.output);
    const Outcome reading = run_blalm(train_arguments(folder, "r" + run, "--optim.steps 1 --data.train " + data));
    CHECK_MESSAGE(reading.exit_code == 0, reading.output);
    started.kill(SIGKILL);
    started.finish();
    CHECK(run_blalm(tokenize + data + " --replace --data.valid_share 0").exit_code == (run == "a" ? 0 : 2));
  }
}

TEST_SUITE("slow") {
  TEST_CASE("killed at any moment, a run resumes with the bits of one never stopped") {
    const Folder folder;
    const std::string settings = "--optim.steps 300 --train.save_minutes 0.0005";
    const auto start = Clock::now();
    REQUIRE(run_blalm(train_arguments(folder, "whole", settings)).exit_code == 0);
    const double whole = std::chrono::duration<double>(Clock::now() - start).count();
    Rng rng(9);
    int killed = 0;
    for (int round = 0; killed < 50 && round < 400; ++round) {
      const std::string run = "cut" + std::to_string(round);
      // Several kills a run, until it comes through.
      for (int attempt = 0; attempt < 6; ++attempt) {
        Started started(train_arguments(folder, run, settings + " --resume auto >/dev/null"));
        sleep_seconds(whole * rng.uniform() * 0.8);
        started.kill(SIGKILL);
        if (started.finish().exit_code != 128 + SIGKILL) break;
        ++killed;
      }
      const Outcome o = run_blalm(train_arguments(folder, run, settings + " --resume auto"));
      REQUIRE_MESSAGE(o.exit_code == 0, o.output);
      check_same_run(folder.path / "whole", folder.path / run);
      fs::remove_all(folder.path / run);
    }
    CHECK(killed >= 50);
  }
}

}  // namespace blalm
