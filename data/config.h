// Settings of the data: section [data] of a configuration (design §8).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/shards/separator.h"
#include "data/text/corpus_plan.h"
#include "engine/core/fields.h"

namespace blalm {

// The keys of [data] that shape prepared text; the others say where text is and how it is read in training.
inline constexpr const char* kTextKeys[] = {"vocab_size",  "words",      "separator",  "bos",        "eos",
                                            "valid_share", "split_seed", "json_field", "strip_lines"};

struct DataConfig {
  std::vector<std::string> train;  // sources.h, or one folder of prepared data
  std::vector<std::string> valid;
  std::string tokenizer;
  std::int64_t vocab_size = 8000;
  std::int64_t words = 0;
  std::int64_t seq = 512;
  Separator separator = Separator::bos;
  std::string bos = "<s>";
  std::string eos = "</s>";
  double valid_share = 0.05;
  std::uint64_t split_seed = 0;
  std::string json_field = "text";
  bool strip_lines = false;
  std::uint64_t seed = 0;
  bool shuffle = true;

  Fields fields();  // refer to this struct

  CorpusOptions corpus_options() const;
  // What plan_corpus makes of train and valid; `left_out` is that of parse_sources, `pulse` that of TextOptions.
  std::vector<SourcePlan> plan(std::vector<std::filesystem::path>* left_out = nullptr, ReadPulse pulse = {}) const;
};

}  // namespace blalm
