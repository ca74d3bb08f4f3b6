// The golden tokenizer and its variants, for tests. tests/golden/tokenizer/make_cases.py says how they were made.
#pragma once

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "data/tokenizer/tokenizer.h"
#include "engine/core/error.h"
#include "tests/support/paths.h"

namespace blalm::testing {

inline const std::string kTokenizerFolder = testing::golden_folder() + "/tokenizer";

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline nlohmann::json tiny_document() { return nlohmann::json::parse(read_file(kTokenizerFolder + "/tiny.json")); }

inline Tokenizer tiny_tokenizer() { return Tokenizer::load(kTokenizerFolder + "/tiny.json"); }

// Fields of `patch` replace those of the document; those of the model one by one.
inline nlohmann::json patched(nlohmann::json document, const nlohmann::json& patch) {
  for (const auto& [key, value] : patch.items()) {
    key == "model" ? document["model"].merge_patch(value) : void(document[key] = value);
  }
  return document;
}

inline Tokenizer tokenizer_of(const nlohmann::json& document) { return Tokenizer::from_json(document.dump()); }

// The message of the FormatError that an action ends with.
template <class Action>
std::string format_error_of(Action&& action) {
  try {
    action();
  } catch (const FormatError& error) {
    return error.what();
  }
  return "no error";
}

// Bytes at random, often ones that form words or parts of characters.
inline std::string random_bytes(std::mt19937_64& random, std::size_t size) {
  static constexpr std::string_view kPieces[] = {"the ", "cat", "\xC3\xA9", "\xE4\xBD\xA0", "\xF0\x9F\x98\x80",
                                                 "  ",   "\n",  "<s>",      "</s>",         "'ll"};
  std::string bytes;
  while (bytes.size() < size) {
    if (random() % 2 == 0) {
      bytes += static_cast<char>(random());
    } else {
      const std::string_view piece = kPieces[random() % std::size(kPieces)];
      bytes += piece.substr(0, 1 + random() % piece.size());
    }
  }
  return bytes;
}

}  // namespace blalm::testing
