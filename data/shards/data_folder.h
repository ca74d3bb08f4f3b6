// Whose a folder is that prepared data (prepared.h) goes into: nothing in it is replaced or removed but what an earlier
// preparation put there.
#pragma once

#include <filesystem>
#include <optional>
#include <system_error>

#include "data/shards/prepared.h"
#include "engine/io/owned_folder.h"

namespace blalm {

// Where shards wait until all are complete, and the data.json of earlier data while that is being replaced: a folder in
// the folder, which stays behind only when the program is killed, or fails in the middle of replacing.
inline constexpr const char* kStagingFolder = ".preparing";

class Staging {
 public:
  // Makes it anew; an earlier data.json in it stays. DataError when it cannot be written.
  explicit Staging(const OwnedFolder& folder);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  void clear(std::error_code& error) const;

  std::filesystem::path folder_, path_;
};

// Throws DataError, saying what else it is, unless the folder is empty, holds prepared data (and perhaps more beside
// it), or holds nothing but what a preparation left that was killed; FormatError for a data.json that breaks the
// format.
void require_data_folder(const std::filesystem::path& folder);

// The data that is there, also when its replacement was interrupted; none when there is none.
std::optional<PreparedData> earlier_data(const std::filesystem::path& folder);

// Whether the file has the name of a shard and begins like one.
bool is_shard_file(const std::filesystem::path& file);

// Removes the shards of `earlier` that are not among those of `data`; what is no shard stays, whatever it is called.
void remove_old_shards(const std::filesystem::path& folder, const PreparedData& earlier, const PreparedData& data);

}  // namespace blalm
