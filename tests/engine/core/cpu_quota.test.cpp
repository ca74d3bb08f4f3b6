#include "engine/core/cpu_quota.h"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <string>

#include "engine/core/cpu.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

// A root with these files in it.
struct Tree {
  explicit Tree(const std::map<std::string, std::string>& files)
      : root(fs::path(testing::build_folder()) / "cpu-quota-test") {
    fs::remove_all(root);
    for (const auto& [path, text] : files) {
      fs::create_directories((root / path).parent_path());
      std::ofstream(root / path) << text;
    }
  }
  ~Tree() { fs::remove_all(root); }
  fs::path root;
};

std::optional<double> quota_in(const std::map<std::string, std::string>& files) { return cpu_quota(Tree(files).root); }

const std::string kMountV2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
const std::string kMountV1 =
    "25 24 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
    "31 25 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
    "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";

}  // namespace

TEST_CASE("the smallest quota on the way to the root holds, version 2") {
  const std::map<std::string, std::string> base = {{"proc/self/mountinfo", kMountV2},
                                                   {"proc/self/cgroup", "0::/user/job/step\n"}};
  const auto with = [&](std::map<std::string, std::string> files) {
    files.insert(base.begin(), base.end());
    return quota_in(files);
  };
  CHECK(with({}) == std::nullopt);
  CHECK(with({{"sys/fs/cgroup/user/job/step/cpu.max", "max 100000\n"}}) == std::nullopt);
  CHECK(with({{"sys/fs/cgroup/user/job/step/cpu.max", "150000 100000\n"}}) == 1.5);
  CHECK(with({{"sys/fs/cgroup/user/job/cpu.max", "50000 100000\n"}}) == 0.5);
  CHECK(with({{"sys/fs/cgroup/cpu.max", "300000 100000\n"}}) == 3.0);
  CHECK(with({{"sys/fs/cgroup/user/job/step/cpu.max", "400000 100000\n"},
              {"sys/fs/cgroup/user/cpu.max", "200000 100000\n"}}) == 2.0);
  for (const char* text : {"", "x", "1", "-1 100000", "100000 0", "nan 100000", "1 2 3", "\n\n"})
    CHECK_MESSAGE(with({{"sys/fs/cgroup/user/job/step/cpu.max", text}}) == std::nullopt, text);
}

TEST_CASE("the smallest quota on the way to the root holds, version 1") {
  const auto with = [&](std::map<std::string, std::string> files) {
    files["proc/self/mountinfo"] = kMountV1;
    files["proc/self/cgroup"] = "5:cpuset:/other\n4:cpu,cpuacct:/batch/7\n0::/\n";
    return quota_in(files);
  };
  const std::string group = "sys/fs/cgroup/cpu,cpuacct/batch/7/", outer = "sys/fs/cgroup/cpu,cpuacct/";
  CHECK(with({{group + "cpu.cfs_quota_us", "-1\n"}, {group + "cpu.cfs_period_us", "100000\n"}}) == std::nullopt);
  CHECK(with({{group + "cpu.cfs_quota_us", "250000\n"}, {group + "cpu.cfs_period_us", "100000\n"}}) == 2.5);
  CHECK(with({{group + "cpu.cfs_quota_us", "-1\n"},
              {group + "cpu.cfs_period_us", "100000\n"},
              {outer + "cpu.cfs_quota_us", "100000\n"},
              {outer + "cpu.cfs_period_us", "50000\n"}}) == 2.0);
  CHECK(with({{"sys/fs/cgroup/cpuset/other/cpu.cfs_quota_us", "1000\n"},
              {"sys/fs/cgroup/cpuset/other/cpu.cfs_period_us", "1000\n"}}) == std::nullopt);
}

TEST_CASE("in a container the group itself may be what is mounted") {
  // The name outside is /docker/abc; inside, that group is mounted as /sys/fs/cgroup.
  CHECK(quota_in({{"proc/self/mountinfo", "33 25 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"},
                  {"proc/self/cgroup", "4:cpu:/docker/abc\n"},
                  {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n"},
                  {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}}) == 1.0);
  CHECK(quota_in({{"proc/self/mountinfo", kMountV2},
                  {"proc/self/cgroup", "0::/../outside\n"},
                  {"sys/fs/cgroup/cpu.max", "70000 100000\n"}}) == 0.7);
  CHECK(quota_in({{"proc/self/mountinfo", "not what it should be\n\n- -\n"}, {"proc/self/cgroup", ":::\n"}}) ==
        std::nullopt);
}

TEST_CASE("whole processors of a quota are threads, at least one") {
  CpuInfo info;
  info.logical_cores = 8;
  CHECK(info.usable_threads() == 8);
  for (const auto& [quota, threads] :
       {std::pair{0.2, 1}, {1.0, 1}, {1.9, 1}, {2.0, 2}, {7.5, 7}, {8.0, 8}, {64.0, 8}}) {
    info.quota = quota;
    CHECK(info.usable_threads() == threads);
  }
}

}  // namespace blalm
