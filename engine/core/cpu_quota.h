// How much processor time the control groups of this process grant it, as containers and batch systems set it.
#pragma once

#include <filesystem>
#include <optional>

namespace blalm {

// In processors: 1.5 is 150 ms of work per 100 ms. The smallest quota from the process's own group up to the root:
// cpu.max of version 2, cpu.cfs_quota_us and cpu.cfs_period_us of version 1. Nothing where none is set or none can be
// read. `root` stands before every path that is read, for tests on a planted tree.
std::optional<double> cpu_quota(const std::filesystem::path& root = "/");

}  // namespace blalm
