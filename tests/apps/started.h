// The program in the background, for tests that stop it: signals, kills, readers that go away.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "tests/apps/support.h"
#include "tests/support/paths.h"

namespace blalm::testing {

inline void sleep_seconds(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// The program in the background. All that it writes goes into a pipe of one page: when that is full, it waits until
// finish() reads, so that what prints more than a page cannot have ended before.
class Started {
 public:
  // `before` goes before the program in the same shell: "trap '' HUP; ".
  explicit Started(const std::string& arguments, const std::string& before = "") {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe failed");
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    out_ = ends[0];
    const std::string command =
        before + "exec '" + testing::build_folder() + "/blalm' " + arguments + " </dev/null 2>&1";
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
    stop_reading();
  }
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;

  // Waits for it; false when the program ended before it came, or after a minute.
  bool wait_until(const std::function<bool()>& it) {
    for (const auto start = std::chrono::steady_clock::now();
         std::chrono::steady_clock::now() - start < std::chrono::minutes(1); sleep_seconds(0.0005)) {
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
  // From now on nobody reads what it writes.
  void stop_reading() {
    if (out_ >= 0) close(std::exchange(out_, -1));
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
    for (ssize_t n; out_ >= 0 && (n = read(out_, buffer.data(), buffer.size())) > 0;)
      o.output.append(buffer.data(), static_cast<std::size_t>(n));
    int status = 0;
    waitpid(process_, &status, 0);
    process_ = -1;
    o.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return o;
  }

 private:
  std::filesystem::path proc() const { return std::filesystem::path("/proc") / std::to_string(process_); }

  pid_t process_ = -1;
  int out_ = -1;
};

}  // namespace blalm::testing
