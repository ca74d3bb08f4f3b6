// Files that grow while a program runs: logs and metrics.
#pragma once

#include <filesystem>
#include <string_view>

namespace blalm {

// What was appended is in the file at once: a run can be followed and survives being killed, but for its last line.
class AppendFile {
 public:
  // Makes the file if need be; a link is not followed. DataError, naming file and reason, when it cannot be written,
  // then and later.
  explicit AppendFile(const std::filesystem::path& path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::string_view text);

 private:
  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace blalm
