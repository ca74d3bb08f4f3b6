// How many threads there are, how they wait, and what is said when others use the processors.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/common/processor_wait.h"
#include "tests/apps/train_support.h"
#include "tests/support/paths.h"

namespace blalm {

TEST_CASE("threads are as many as a quota of processor time allows, in a real control group") {
  // Version 1 or 2, whichever this system has mounted and lets us use.
  fs::path group;
  const std::string name = fmt::format("blalm-test-{}", getpid());
  for (const auto& [hierarchy, file, quota] :
       {std::array<std::string, 3>{"/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "100000"},
        std::array<std::string, 3>{"/sys/fs/cgroup", "cpu.max", "100000 100000"}}) {
    std::error_code error;
    if (!group.empty() || !fs::create_directory(fs::path(hierarchy) / name, error)) continue;
    std::ofstream limit(fs::path(hierarchy) / name / file);
    if (limit << quota << std::flush)
      group = fs::path(hierarchy) / name;
    else
      fs::remove(fs::path(hierarchy) / name, error);
  }
  if (group.empty()) {
    MESSAGE("not tested: no right to make a control group with a quota");
    return;
  }
  const auto threads = [&](const std::string& before) {
    return testing::run_shell("echo $$ > '" + (group / "cgroup.procs").string() + "' && " + before + " '" +
                              testing::build_folder() + "/blalm' inspect kernels 2>&1");
  };
  const Outcome o = threads("exec env -u OMP_NUM_THREADS");
  CHECK(o.exit_code == 0);
  CHECK_MESSAGE(contains(o.output, ", 1 threads;"), o.output.substr(0, 200));
  CHECK(contains(threads("exec env OMP_NUM_THREADS=2").output, ", 2 threads;"));  // who asks for more gets it
  std::error_code error;
  fs::remove(group, error);
}

TEST_CASE("threads wait briefly unless the environment says how") {
  const Folder folder;
  const auto environment = [&](const std::string& run, const std::string& before) {
    const Outcome o = run_blalm(train_arguments(folder, run, "--optim.steps 1"), testing::kBothStreams, before);
    REQUIRE_MESSAGE(o.exit_code == 0, o.output);
    return nlohmann::json::parse(read_text(folder.path / run / "run.json")).at("environment");
  };
  const nlohmann::json own = environment("a", "unset OMP_WAIT_POLICY; ");
  CHECK(own.contains("GOMP_SPINCOUNT"));
  CHECK(own.contains("KMP_BLOCKTIME"));
  CHECK_FALSE(environment("b", "export OMP_WAIT_POLICY=passive; ").contains("GOMP_SPINCOUNT"));
  CHECK(environment("c", "unset OMP_WAIT_POLICY; export GOMP_SPINCOUNT=7; ").at("GOMP_SPINCOUNT") == "7");
}

TEST_CASE("threads that wait for a processor are noticed") {
  ProcessorWait wait;
  if (!wait.share(1)) {
    MESSAGE("not tested: this kernel does not count how long threads wait");
    return;
  }
  // Two busy programs on one processor: each waits half of the time.
  cpu_set_t before, one;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  int processor = 0;
  while (!CPU_ISSET(processor, &before)) ++processor;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  const pid_t other = fork();
  if (other == 0) {
    for (;;) {
    }
  }
  wait.restart();
  while (wait.seconds() < 0.5) {
  }
  CHECK(wait.share(1).value() > 0.1);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
  sched_setaffinity(0, sizeof before, &before);
}

}  // namespace blalm
