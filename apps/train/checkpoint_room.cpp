#include "apps/train/checkpoint_room.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "engine/core/error.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSmallFiles = 8 << 10;  // config.json, state.json, DONE
constexpr std::int64_t kHeaderEntry = 128;     // of a tensor in a safetensors file

std::int64_t bytes_in(const fs::path& folder) {
  std::int64_t bytes = 0;
  std::error_code error;
  if (fs::is_symlink(folder, error)) return 0;  // what it holds lies elsewhere
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code unknown;
    const std::uintmax_t size = it->is_regular_file(unknown) ? it->file_size(unknown) : 0;
    if (!unknown) bytes += static_cast<std::int64_t>(size);
  }
  return bytes;
}

}  // namespace

std::int64_t model_bytes(const LanguageModel& model) {
  std::int64_t bytes = kSmallFiles;
  for (const Parameter* p : model.parameters())
    bytes += p->value.numel() * static_cast<std::int64_t>(sizeof(float)) + kHeaderEntry;
  return bytes;
}

std::int64_t optimizer_bytes(const Optimizer& optimizer) {
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : optimizer.state().tensors) bytes += tensor.bytes() + kHeaderEntry;
  return bytes;
}

std::optional<std::int64_t> free_bytes(const fs::path& folder) {
  struct statvfs about {};
  if (::statvfs(folder.c_str(), &about) != 0 || about.f_blocks == 0) return {};
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  const std::uint64_t blocks =
      std::min<std::uint64_t>(about.f_bavail, kMost / std::max<std::uint64_t>(about.f_frsize, 1));
  return static_cast<std::int64_t>(blocks * about.f_frsize);
}

void require_room(const fs::path& run, std::int64_t bytes) {
  const std::optional<std::int64_t> left = free_bytes(run);
  if (!left) return;
  std::int64_t room = *left;
  for (const char* name : {"last", "last.new", "last.previous", "best", "best.new"}) room += bytes_in(run / name);
  if (room >= bytes) return;
  const auto megabytes = [](std::int64_t n) { return static_cast<double>(n) / 1e6; };
  throw DataError(expected_got(
      "train", fmt::format("{:.2f} MB of room for two checkpoints in '{}'", megabytes(bytes), run.string()),
      fmt::format("{:.2f} MB", megabytes(room)), "make room, or name another folder with --run"));
}

}  // namespace blalm
