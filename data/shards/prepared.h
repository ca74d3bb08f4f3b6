// A folder of prepared data: token shards of training and validation text, and data.json, which lists them.
//   data.json   train-00000.bin …   valid-00000.bin …   (and the tokenizer.json that whoever prepares it puts there)
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/shards/separator.h"
#include "data/shards/shard.h"
#include "data/text/corpus.h"

namespace blalm {

struct PreparedPart {
  std::vector<ShardInfo> shards;
  std::int64_t blank_lines = 0;  // lines without a word, which were left out (separator.h)

  std::int64_t tokens() const;
  std::int64_t lines() const;
  std::int64_t words() const;
  std::int64_t bytes() const;
};

// What data.json says. It does not depend on when, where or on how many threads the data was prepared.
struct PreparedData {
  TokenizerId tokenizer;
  Separator separator = Separator::bos;
  PreparedPart train, valid;
  std::vector<SourceReport> sources;
  std::map<std::string, std::string> settings;  // other settings in [data] that shaped it, by key

  const PreparedPart& part(Part p) const { return p == Part::train ? train : valid; }
  PreparedPart& part(Part p) { return p == Part::train ? train : valid; }
};

// Whether both are the same tokens of the same tokenizer, cut into the same shards.
bool have_same_tokens(const PreparedData& a, const PreparedData& b);

// Whether the folder holds a data.json.
bool is_prepared(const std::filesystem::path& folder);
void write_prepared(const std::filesystem::path& folder, const PreparedData& data);
// DataError when there is no data.json; FormatError, naming file and field, for one that breaks the format.
PreparedData read_prepared(const std::filesystem::path& folder);

}  // namespace blalm
