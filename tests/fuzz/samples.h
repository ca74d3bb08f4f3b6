// Valid files of our own formats, small: what fuzzing begins with (seeds.cpp) and what inputs refer to.
#pragma once

#include <filesystem>
#include <vector>

#include "data/shards/prepared.h"
#include "tests/fuzz/fuzz.h"

namespace blalm::fuzz {

// A folder of prepared data with a shard of training text and one of validation text; data.json lists both.
inline PreparedData prepare_sample(const std::filesystem::path& folder, std::int64_t vocab_size = 300) {
  PreparedData data;
  data.tokenizer = {vocab_size, fingerprint_of("sample")};
  for (const Part part : {Part::train, Part::valid}) {
    ShardWriter writer(folder, part == Part::train ? "train" : "valid", data.tokenizer);
    for (const std::vector<std::int32_t>& line : {std::vector{1, 2, 299}, {1}, {5, 6, 7, 8, 9}})
      writer.add(line, 2, 11);
    data.part(part).shards = writer.finish();
  }
  data.train.blank_lines = 1;
  data.sources = {{"text.txt", {6, 12, 66, 0}, {3, 6, 33, 1}, true}};
  data.settings = {{"valid_fraction", "5%"}};
  write_prepared(folder, data);
  return data;
}

}  // namespace blalm::fuzz
