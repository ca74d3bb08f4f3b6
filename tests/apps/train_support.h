// What the tests of blalm train share: a small run, and what of two runs must be equal.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/apps/support.h"

namespace blalm::testing {

// A file of sentences that a small tokenizer can learn.
inline std::string text_file(const Folder& folder) {
  const std::filesystem::path path = folder.path / "text.txt";
  if (!std::filesystem::exists(path)) std::ofstream(path) << sentences(1500, 5);
  return folder / "text.txt";
}

// A run of 30 steps of milliseconds, on text_file() unless `more` names other text.
inline std::string train_arguments(const Folder& folder, const std::string& run, const std::string& more = "") {
  return "train --run " + folder / run + (contains(more, "--data.train") ? "" : " --data.train " + text_file(folder)) +
         " --data.vocab_size 300 --data.seq 32 --model.hidden_size 32 --model.num_hidden_layers 2 "
         "--model.num_attention_heads 2 --model.intermediate_size 64 --train.batch 8 --train.micro_batch 4 "
         "--train.sample_tokens 5 --train.threads 1 --train.precision f32 --optim.optimizer muon --optim.steps 30 "
         "--train.valid_every 10 --train.valid_blocks 8 " +
         more;
}

// Samples of every step, several pages in all.
inline const std::string kManyLines =
    "--optim.steps 100 --train.valid_every 0 --train.valid_blocks 1 --train.sample_every 1 ";

// The rows of metrics.csv, header included.
inline std::vector<std::vector<std::string>> metrics_of(const std::filesystem::path& run) {
  std::vector<std::vector<std::string>> rows;
  std::istringstream in(read_text(run / "metrics.csv"));
  for (std::string line; std::getline(in, line);) {
    rows.emplace_back();
    std::istringstream cut(line);
    for (std::string cell; std::getline(cut, cell, ',');) rows.back().push_back(cell);
  }
  return rows;
}

// Without the columns of time.
inline std::string numbers_of(const std::filesystem::path& run) {
  std::string kept;
  for (const std::vector<std::string>& row : metrics_of(run)) {
    for (std::size_t i = 0; i < row.size(); ++i)
      if (i != 3 && i != 9) kept += row[i] + ",";
    kept += "\n";
  }
  return kept;
}

// What state.json says, without the time.
inline nlohmann::json state_in(const std::filesystem::path& checkpoint) {
  nlohmann::json state = nlohmann::json::parse(read_text(checkpoint / "state.json"), nullptr, false);
  if (state.is_object()) state.erase("seconds");
  return state;
}

inline void check_same_run(const std::filesystem::path& a, const std::filesystem::path& b) {
  CHECK(numbers_of(a) == numbers_of(b));
  for (const char* checkpoint : {"last", "best"}) {
    CHECK(state_in(a / checkpoint) == state_in(b / checkpoint));
    for (const char* file : {"model.safetensors", "optim.safetensors", "config.json", "tokenizer.json"})
      CHECK_MESSAGE(read_text(a / checkpoint / file) == read_text(b / checkpoint / file),
                    checkpoint << "/" << file << " differs");
  }
}

inline nlohmann::json summary_of(const std::filesystem::path& run) {
  return nlohmann::json::parse(read_text(run / "run.json"));
}

// The last line of the output, which is the error; there is no other.
inline std::string error_of(const Outcome& o) {
  const std::size_t at = o.output.rfind("blalm: ");
  if (at == std::string::npos || o.output.find('\n', at) + 1 != o.output.size()) return "no error, or more than a line";
  return o.output.substr(at, o.output.size() - at - 1);
}

}  // namespace blalm::testing

namespace blalm {

namespace fs = std::filesystem;
using testing::check_same_run;
using testing::contains;
using testing::error_of;
using testing::Folder;
using testing::kManyLines;
using testing::metrics_of;
using testing::Outcome;
using testing::read_text;
using testing::run_blalm;
using testing::state_in;
using testing::summary_of;
using testing::train_arguments;
using testing::write;

}  // namespace blalm
