#include "blalm/apps/train/run_folder.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>

#include "blalm/apps/common/append_file.h"
#include "blalm/core/cpu.h"
#include "blalm/core/error.h"
#include "blalm/core/parallel.h"
#include "blalm/io/atomic_file.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

std::int64_t peak_memory_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

}  // namespace

RunFolder::RunFolder(fs::path path, bool resume) : path_(std::move(path)) {
  if (has_config() && !resume)
    throw ConfigError(expected_got("train", "a new run folder", fmt::format("'{}', which holds a run", path_.string()),
                                   "--resume auto continues it; --run DIR names another"));
  std::error_code error;
  fs::create_directories(path_, error);
  if (error || !fs::is_directory(path_))
    throw DataError(expected_got("train", fmt::format("a writable folder '{}'", path_.string()),
                                 error ? error.message() : "a file"));
  lock_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ >= 0 && flock(lock_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)  // some file systems have no locks
    throw DataError(expected_got("train", fmt::format("'{}' for this process alone", path_.string()),
                                 "another process that trains there", "wait for it, or name another folder with --run"));
}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

void RunFolder::write_config(RunConfig& config) const {
  write_file_atomically(path_ / "config.toml",
                        "# All settings of this run, as they were resolved.\n" + to_toml(config.fields()));
}

void RunFolder::require_same_config(RunConfig& config) const {
  RunConfig stored;
  stored.configure(read_settings(path_ / "config.toml"));
  const Fields now = config.fields(), then = stored.fields();
  std::vector<std::string> changed;
  for (std::size_t i = 0; i < now.list().size(); ++i) {
    const Field &a = now.list()[i], &b = then.list()[i];
    if (a.get() != b.get() && !may_change_on_resume(a.path()))
      changed.push_back(fmt::format("{} = {} (was {})", a.path(), a.get(), b.get()));
  }
  if (!changed.empty())
    throw ConfigError(expected_got("resume", fmt::format("the settings of '{}'", path_.string()),
                                   fmt::format("{}", fmt::join(changed, ", "))));
}

void RunFolder::write_summary(const RunConfig& config, const std::string& state, std::int64_t steps,
                              double seconds) const {
  const CpuInfo& c = cpu();
  const nlohmann::ordered_json summary = {
      {"state", state},
      {"updated", utc_now()},
      {"blalm", BLALM_VERSION},
      {"compiler", __VERSION__},
      {"cpu", c.model},
      {"logical_cores", c.logical_cores},
      {"threads", num_threads()},
      {"avx512", c.avx512},
      {"avx512_bf16", c.avx512_bf16},
      {"amx_bf16", c.amx_bf16},
      {"preset", config.preset},
      {"size", config.size},
      {"seed", config.train.seed},
      {"precision", config.train.precision == PrecisionChoice::bf16 ? "bf16" : "f32"},
      {"steps", steps},
      {"seconds", seconds},
      {"peak_memory_bytes", peak_memory_bytes()},
  };
  write_file_atomically(path_ / "run.json", summary.dump(2) + "\n");
}

void RunFolder::log(const std::string& line) const { append("log.txt", fmt::format("{}  {}\n", utc_now(), line)); }

void RunFolder::add_sample(std::int64_t step, const std::string& text) const {
  append("samples.txt", fmt::format("step {}\n{}\n\n", step, text));
}

void RunFolder::append(const char* file, const std::string& text) const { AppendFile(path_ / file).append(text); }

}  // namespace blalm
