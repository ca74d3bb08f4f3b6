// What becomes of commands when nobody reads what they print: readers that go away, terminals that are closed, disks
// that are full, descriptors that were never open.
#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/apps/started.h"
#include "tests/apps/train_support.h"

namespace blalm {
namespace {

using testing::Started;

std::string state_of(const fs::path& run) {
  return nlohmann::json::parse(read_text(run / "run.json")).at("state").get<std::string>();
}

void check_finished(const fs::path& run) {
  CHECK(state_of(run) == "finished");
  CHECK(fs::exists(run / "last" / "DONE"));
  CHECK(metrics_of(run).back().at(0) == "100");
  CHECK(contains(read_text(run / "log.txt"), "finished after 100 steps"));
}

}  // namespace

TEST_CASE("a training run outlives whoever reads it, and a signal then still saves") {
  const Folder folder;
  SUBCASE("a reader that goes away: the run comes to its end") {
    Started started(train_arguments(folder, "a", kManyLines));
    REQUIRE(started.wait_until([&] { return started.written() > 1500; }));
    started.stop_reading();
    CHECK(started.finish().exit_code == 0);
    check_finished(folder.path / "a");
  }
  SUBCASE("Ctrl-C in a pipeline, whose reader dies first") {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      const std::string run = "cut-" + std::to_string(signal);
      Started started(train_arguments(folder, run, kManyLines + "--optim.steps 100000"));
      REQUIRE(started.wait_until([&] { return started.written() > 1500; }));
      started.stop_reading();
      started.kill(signal);
      CHECK(started.finish().exit_code == 130);
      CHECK(state_of(folder.path / run) == "interrupted");
      CHECK(fs::exists(folder.path / run / "last" / "DONE"));
    }
  }
  SUBCASE("head takes a line and leaves") {
    const Outcome o =
        testing::run_shell("{ '" + testing::build_folder() + "/blalm' " + train_arguments(folder, "a", kManyLines) +
                           " 2>" + folder / "err" + "; echo $? >" + folder / "code" + "; } | head -n 1");
    CHECK(std::ranges::count(o.output, '\n') == 1);
    CHECK(read_text(folder.path / "code") == "0\n");
    CHECK(read_text(folder.path / "err").empty());
    check_finished(folder.path / "a");
  }
  SUBCASE("a terminal that is closed") {
    int terminal = -1;
    const pid_t process = forkpty(&terminal, nullptr, nullptr, nullptr);
    if (process == 0) {
      const std::string command = "exec '" + testing::build_folder() + "/blalm' " +
                                  train_arguments(folder, "a", kManyLines + "--optim.steps 100000");
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    REQUIRE(process > 0);
    std::string seen;
    std::array<char, 4096> buffer{};
    for (ssize_t n; !contains(seen, "step 3") && (n = read(terminal, buffer.data(), buffer.size())) > 0;)
      seen.append(buffer.data(), static_cast<std::size_t>(n));
    CHECK_MESSAGE(contains(seen, "step 3"), seen);
    close(terminal);
    int status = 0;
    REQUIRE(waitpid(process, &status, 0) == process);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 130);
    CHECK(state_of(folder.path / "a") == "interrupted");
    CHECK(fs::exists(folder.path / "a" / "last" / "DONE"));
  }
  SUBCASE("under nohup a hang-up is nothing") {
    Started started(train_arguments(folder, "a", kManyLines), "trap '' HUP; ");
    REQUIRE(started.wait_until([&] { return started.written() > 1500; }));
    started.kill(SIGHUP);
    const Outcome o = started.finish();
    CHECK_MESSAGE(o.exit_code == 0, o.output);
    check_finished(folder.path / "a");
  }
  SUBCASE("a full disk under the output is told once, at the end") {
    const Outcome o = run_blalm(train_arguments(folder, "a", kManyLines), "2>&1 >/dev/full </dev/null");
    CHECK(o.exit_code == 0);
    CHECK(o.output == "blalm: not all that was said could be written to standard output: No space left on device\n");
    check_finished(folder.path / "a");
  }
  SUBCASE("errors that nobody reads keep their code") {
    CHECK(run_blalm("train --run " + folder / "a" + " --data.train " + folder / "nowhere.txt", ">/dev/full 2>&1")
              .exit_code == 3);
    Started started("train --train.batch no", "sleep 0.2; ");
    started.stop_reading();
    CHECK(started.finish().exit_code == 2);
  }
}

TEST_CASE("tokenize without a reader leaves its data, and stopped by a hang-up nothing") {
  const Folder folder;
  write(folder.path / "text.txt", testing::sentences(200'000));
  const std::string tokenize = "tokenize --input " + folder / "text.txt" + " --vocab-size 300 --out ";
  Started unheard(tokenize + folder / "a");
  unheard.stop_reading();
  CHECK(unheard.finish().exit_code == 0);
  CHECK(fs::exists(folder.path / "a" / "data.json"));
  Started stopped(tokenize + folder / "b");
  REQUIRE(stopped.wait_until([&] { return fs::exists(folder.path / "b"); }));
  stopped.stop_reading();
  stopped.kill(SIGHUP);
  CHECK(stopped.finish().exit_code == 130);
  CHECK_FALSE(fs::exists(folder.path / "b"));
}

TEST_CASE("commands whose output nobody reads end at once, without a word, as by SIGPIPE") {
  const Folder folder;
  testing::save_small_model(folder.path / "model");
  const std::vector<std::string> commands = {
      "",
      "--help",
      "--version",
      "train --help",
      "train --print-config",
      "inspect kernels",
      "inspect model",
      "bench step --size nano --vocab 300 --batch 1 --seq 32 --repeats 1 --warmup 1 --precision f32",
      "generate --model " + folder / "model" + " --prompt x --ignore-end --max-tokens 1000000000"};
  for (const std::string& command : commands) {
    CAPTURE(command);
    Started started(command, "sleep 0.2; exec 2>" + folder / "err" + "; unset OMP_WAIT_POLICY; ");
    started.stop_reading();
    CHECK(started.finish().exit_code == 141);
  }
  CHECK(read_text(folder.path / "err").empty());
}

TEST_CASE("descriptors that are closed at the start hold no file of the program") {
  const Folder folder;
  testing::text_file(folder);
  REQUIRE(
      run_blalm("tokenize --input " + folder / "text.txt" + " --vocab-size 300 --out " + folder / "data").exit_code ==
      0);
  for (const std::string closed : {"<&- >&- 2>&-", "<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-"}) {
    CAPTURE(closed);
    fs::remove_all(folder.path / "run");
    const Outcome o =
        run_blalm(train_arguments(folder, "run", "--optim.steps 5 --data.train " + folder / "data"), closed);
    CHECK(o.exit_code == 0);
    for (const std::vector<std::string>& row : metrics_of(folder.path / "run")) {
      CHECK(row.size() >= 9);
      CHECK((row.at(0) == "step" || row.at(0).find_first_not_of("0123456789") == std::string::npos));
    }
  }
}

}  // namespace blalm
