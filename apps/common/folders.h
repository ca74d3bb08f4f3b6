// Folders: those that a user may name where a model is asked for (design §9), and those that a command makes.
#pragma once

#include <filesystem>

namespace blalm {

// The model folder that `folder` stands for: itself when it holds a config.json, and for a run folder its last
// checkpoint, last/ (or last.previous/ in the moment in which a trainer replaces it). DataError when it is neither.
std::filesystem::path find_model_folder(const std::filesystem::path& folder);

// A folder that goes again, with all that is in it, unless it was there before or is kept.
class NewFolder {
 public:
  explicit NewFolder(std::filesystem::path path);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  void keep() { kept_ = true; }
  bool is_new() const { return is_new_; }

 private:
  std::filesystem::path path_;
  bool is_new_, kept_ = false;
};

}  // namespace blalm
