// From the settings in [data] to a folder of token shards and its tokenizer: what tokenize and train share.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "apps/common/progress.h"
#include "data/config.h"
#include "data/shards/prepare.h"
#include "data/tokenizer/tokenizer.h"
#include "engine/io/owned_folder.h"

namespace blalm {

struct ReadyData {
  std::filesystem::path folder;
  Tokenizer tokenizer;
  double tokenizer_seconds = 0;                 // of training it; 0 when it was loaded
  std::optional<PrepareReport> report;          // when the folder was prepared now
  std::vector<std::filesystem::path> left_out;  // of input folders: files that are not text by their names, and folders
  std::vector<std::string> repeated;            // a sentence for each text that came before, under another name or not
  std::unique_ptr<OwnedFolder> owned;           // `folder` when it was prepared now: a new one goes unless it is kept
  std::unique_ptr<ReadFolder> read;             // `folder` when it was prepared before: nobody writes there meanwhile
};

// data.train naming one prepared folder: opens it. Else prepares the text (that which comes with blalm when there is
// none) into `folder`, with the tokenizer of data.tokenizer or one trained on the training text; tokenizer.json goes
// into the folder. Throws what reading, tokenizing and writing throw; `stop` is asked now and then and may throw as
// well; `replace` is that of PrepareOptions.
ReadyData ready_data(DataConfig config, const std::filesystem::path& folder, Progress& progress,
                     void (*stop)() = nullptr, bool replace = true);

}  // namespace blalm
