// blalm train that is stopped: by signals at every stage, and killed at any moment.
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>

#include "blalm/core/rng.h"
#include "tests/apps/train_support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

using Clock = std::chrono::steady_clock;

void sleep_seconds(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// The program in the background. All that it writes goes into a pipe of one page: when that is full, it waits until
// finish() reads, so that what prints more than a page cannot have ended before.
class Started {
 public:
  explicit Started(const std::string& arguments) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe failed");
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    out_ = ends[0];
    const std::string command = "exec '" + testing::build_folder() + "/blalm' " + arguments + " </dev/null 2>&1";
    process_ = fork();
    if (process_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      close(ends[0]);
      close(ends[1]);
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
    close(ends[1]);
    if (process_ < 0) throw std::runtime_error("fork failed");
  }
  ~Started() {
    if (process_ > 0) {
      kill(SIGKILL);
      finish();
    }
    close(out_);
  }
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;

  // Waits for it; false when the program ended before it came, or after a minute.
  bool wait_until(const std::function<bool()>& it) {
    for (const auto start = Clock::now(); Clock::now() - start < std::chrono::minutes(1); sleep_seconds(0.0005)) {
      if (it()) return true;
      siginfo_t info{};
      if (waitid(P_PID, static_cast<id_t>(process_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0)
        return it();
    }
    return false;
  }
  // Bytes that it has written and nobody has read.
  int written() const {
    int bytes = 0;
    return ioctl(out_, FIONREAD, &bytes) == 0 ? bytes : 0;
  }
  void kill(int signal) const { ::kill(process_, signal); }
  bool is_asleep() const {
    const std::string stat = read_text(proc() / "stat");
    return contains(stat, ") S ");
  }
  bool has_pending_signal() const { return !contains(read_text(proc() / "status"), "ShdPnd:\t0000000000000000"); }
  // Its end: exit code or 128 + signal, and all its output.
  Outcome finish() {
    Outcome o;
    std::array<char, 4096> buffer{};
    for (ssize_t n; (n = read(out_, buffer.data(), buffer.size())) > 0;)
      o.output.append(buffer.data(), static_cast<std::size_t>(n));
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = -1;
    o.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return o;
  }

 private:
  fs::path proc() const { return fs::path("/proc") / std::to_string(process_); }

  pid_t process_ = -1;
  int out_ = -1;
};

bool has_row(const fs::path& run, const std::string& step) {
  const std::string text = read_text(run / "metrics.csv");
  return text.starts_with(step + ",") || contains(text, "\n" + step + ",");
}

// Samples of every step, several pages in all.
const std::string kManyLines = "--optim.steps 100 --train.valid_every 0 --train.valid_blocks 1 --train.sample_every 1 ";

}  // namespace

TEST_CASE("SIGTERM and Ctrl-C save, say where and exit with 130; the resumed run has the bits of one never stopped") {
  const Folder folder;
  REQUIRE(run_blalm(train_arguments(folder, "whole", kManyLines)).exit_code == 0);
  for (const int signal : {SIGTERM, SIGINT}) {
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
  bool in_time = false;
  for (int attempt = 0; attempt < 20 && !in_time; ++attempt) {
    const std::string run = "runs-" + std::to_string(attempt);
    Started started(train_arguments(folder, run + "/a", "--data.train " + folder / "long.txt"));
    REQUIRE(started.wait_until([&] { return fs::exists(folder.path / run / "a"); }));
    started.kill(SIGTERM);
    const Outcome o = started.finish();
    REQUIRE_MESSAGE(o.exit_code == 130, o.output);
    in_time = contains(o, "interrupted before training began; there is nothing to save");
    CHECK(fs::exists(folder.path / run) != in_time);
  }
  CHECK_MESSAGE(in_time, "no signal came during the preparation");
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
