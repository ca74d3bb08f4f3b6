#include "engine/core/cpu_quota.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace blalm {
namespace {

namespace fs = std::filesystem;

fs::path below(const fs::path& root, const std::string& path) { return root / fs::path(path).relative_path(); }

std::string first_line(const fs::path& file) {
  std::string line;
  std::ifstream in(file);
  std::getline(in, line);
  return line;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::optional<double> ratio(std::string_view quota, std::string_view period) {
  const auto q = number(quota), p = number(period);  // "max" and -1 set no limit
  return q && p && *q > 0 && *p > 0 ? std::optional(*q / *p) : std::nullopt;
}

// "150000 100000" or "max 100000".
std::optional<double> quota_v2(const fs::path& group) {
  const std::string line = first_line(group / "cpu.max");
  const std::size_t space = line.find(' ');
  if (space == line.npos) return {};
  return ratio(std::string_view(line).substr(0, space), std::string_view(line).substr(space + 1));
}

std::optional<double> quota_v1(const fs::path& group) {
  return ratio(first_line(group / "cpu.cfs_quota_us"), first_line(group / "cpu.cfs_period_us"));
}

bool has_word(std::string_view list, std::string_view word) {  // of words with commas between them
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t end = std::min(list.find(',', at), list.size());
    if (list.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

// A mounted hierarchy of control groups that may limit processor time.
struct Hierarchy {
  bool v2 = false;
  std::string root;   // the group that is mounted, as the process sees it
  std::string mount;  // where
};

// Lines of /proc/self/mountinfo: "ID PARENT DEVICE ROOT MOUNT OPTIONS … - TYPE SOURCE SUPER-OPTIONS".
std::vector<Hierarchy> hierarchies(const fs::path& root) {
  std::vector<Hierarchy> found;
  std::ifstream in(below(root, "/proc/self/mountinfo"));
  for (std::string line; std::getline(in, line);) {
    Hierarchy h;
    std::string skipped, type, options;
    std::istringstream words(line);
    words >> skipped >> skipped >> skipped >> h.root >> h.mount;
    while (words >> skipped && skipped != "-") {
    }
    words >> type >> skipped >> options;
    h.v2 = type == "cgroup2";
    if (h.v2 || (type == "cgroup" && has_word(options, "cpu"))) found.push_back(std::move(h));
  }
  return found;
}

// The process's group in a hierarchy. Lines of /proc/self/cgroup: "0::/a/b" for version 2, "4:cpu,cpuacct:/a/b" else.
std::optional<std::string> group_of_process(const fs::path& root, bool v2) {
  std::ifstream in(below(root, "/proc/self/cgroup"));
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (v2 ? line.starts_with("0::") : has_word(controllers, "cpu")) return line.substr(second + 1);
  }
  return {};
}

}  // namespace

std::optional<double> cpu_quota(const fs::path& root) {
  std::optional<double> least;
  for (const Hierarchy& h : hierarchies(root)) {
    std::optional<std::string> group = group_of_process(root, h.v2);
    if (!group) continue;
    // A container may see the name that its group has outside, while the group itself is mounted.
    if (h.root != "/" && group->starts_with(h.root)) group->erase(0, h.root.size());
    fs::path at = fs::path(*group).relative_path();
    if (std::ranges::find(at, fs::path("..")) != at.end()) at.clear();
    for (;; at = at.parent_path()) {
      const fs::path folder = below(root, h.mount) / at;
      const std::optional<double> quota = h.v2 ? quota_v2(folder) : quota_v1(folder);
      if (quota) least = std::min(least.value_or(*quota), *quota);
      if (at.empty()) break;
    }
  }
  return least;
}

}  // namespace blalm
