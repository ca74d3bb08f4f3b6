// From files of text to a folder of token shards (prepared.h): what `blalm tokenize` does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "data/shards/prepared.h"
#include "data/shards/separator.h"
#include "data/shards/text_encoder.h"
#include "data/text/corpus.h"
#include "engine/io/owned_folder.h"

namespace blalm {

struct PrepareProgress {
  std::int64_t lines = 0, words = 0, bytes = 0, tokens = 0;  // written so far
};

struct PrepareOptions {
  Separator separator = Separator::bos;
  TextOptions text;
  std::map<std::string, std::string> settings;  // for data.json
  std::int64_t shard_tokens = kShardTokens;
  // Whether other data in the folder may go. If not, it is a DataError, and the same data is left as it is.
  bool replace = true;
  // Called now and then on the calling thread; may throw to stop.
  std::function<void(const PrepareProgress&)> progress;
  // Called when the shards are in the folder, before data.json is: writes what belongs beside them.
  std::function<void(const std::filesystem::path& folder)> write_beside;
};

struct PrepareReport {
  PreparedData data;
  double seconds = 0;

  static double tokens_per_word(const PreparedPart& part);  // 0 without words
  static double bytes_per_token(const PreparedPart& part);  // 0 without tokens
};

// Reads the plan's files, encodes their lines on all threads and writes shards and data.json into `folder`. The files
// are the same whatever the number of threads. They are written aside and put in place when all are complete: until
// then, and when anything throws, an earlier preparation stays as it was; then its shards go. Should the program be
// killed in between, the folder has no data.json and cannot be opened by mistake. DataError: no words to train on, or
// none to validate on though the plan asks for some; ids outside the vocabulary; what reading and writing throw.
// ConfigError: a separator that the tokenizer does not have.
PrepareReport prepare(const std::vector<SourcePlan>& plan, const TextEncoder& encoder, const OwnedFolder& folder,
                      const PrepareOptions& options = {});
// The same for a folder that is owned meanwhile: DataError as OwnedFolder says. One that was made goes when this
// throws.
PrepareReport prepare(const std::vector<SourcePlan>& plan, const TextEncoder& encoder,
                      const std::filesystem::path& folder, const PrepareOptions& options = {});

// Before the work: the DataError of a folder whose data must not be replaced, as far as its settings tell.
void refuse_other_data(const std::filesystem::path& folder, const PrepareOptions& options);

// Gives the training lines of the plan, some megabytes at a time: for the training of a tokenizer. What an encoder will
// be given at once is one text here.
void read_training_text(const std::vector<SourcePlan>& plan, const TextOptions& text, Separator separator,
                        const std::function<void(std::span<const std::string_view>)>& visit);

}  // namespace blalm
