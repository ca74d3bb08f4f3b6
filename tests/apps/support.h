// What the tests of commands share: a folder that goes with the test, and small models and texts made in it.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "data/tokenizer/bpe_trainer.h"
#include "engine/core/rng.h"
#include "models/model_folder.h"
#include "tests/support/program.h"

namespace blalm::testing {

inline const std::string kGolden = golden_folder();

class Folder {
 public:
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  // For a command line.
  std::string operator/(const std::string& name) const {
    std::string quoted = "'";
    quoted += (path / name).string();
    quoted += "'";
    return quoted;
  }

  static inline std::atomic<int> made = 0;
  std::filesystem::path path = std::filesystem::temp_directory_path() /
                               ("blalm-apps-test-" + std::to_string(getpid()) + "-" + std::to_string(made++));
};

inline bool contains(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}
inline bool contains(const Outcome& o, const std::string& words) { return contains(o.output, words); }

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// `lines` short sentences, 5 words each.
inline std::string sentences(int lines, std::uint64_t seed = 1) {
  const char* who[] = {"The cat", "A dog", "My sister", "The bird", "One man"};
  const char* did[] = {"saw", "likes", "found", "lost", "ate"};
  const char* what[] = {"a ball", "the house", "some bread", "a river", "the moon"};
  std::string text;
  Rng rng(seed);
  for (int i = 0; i < lines; ++i)
    text += std::string(who[rng.below(5)]) + ' ' + did[rng.below(5)] + ' ' + what[rng.below(5)] + "\n";
  return text;
}

inline Tokenizer small_tokenizer(const std::vector<std::string>& special = {"<pad>", "<s>", "</s>"}) {
  const std::string text = sentences(200);
  const std::string_view texts[] = {text};
  return train_bpe(texts, {.vocab_size = 300, .special_tokens = special});
}

// The 256 bytes are its tokens: every character but those of ASCII is several.
inline Tokenizer bytes_tokenizer() {
  return train_bpe({}, {.vocab_size = 259, .special_tokens = {"<pad>", "<s>", "</s>"}});
}

// Weights far from their first values, so that what the model says depends on what it reads.
inline std::unique_ptr<LanguageModel> small_model(std::string_view preset, std::int64_t vocab_size) {
  ModelConfig c;
  c.vocab_size = vocab_size;
  c.hidden_size = 32;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 2;
  c.intermediate_size = 48;
  apply_preset(c, preset);
  if (c.swa_window > 0) c.swa_window = 9;
  auto model = std::make_unique<LanguageModel>(c);
  for (Parameter* p : model->parameters()) {
    if (p->role != Role::matrix && p->role != Role::embedding) continue;
    Rng rng(7, stream_of(p->name));
    rng.fill_normal(p->value, 0, 0.4);
  }
  return model;
}

// A model folder.
inline void save_small_model(const std::filesystem::path& folder, std::string_view preset = "mlstm") {
  const Tokenizer tokenizer = small_tokenizer();
  save_model(*small_model(preset, tokenizer.vocab_size()), folder);
  tokenizer.save(folder / "tokenizer.json");
}

inline void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

}  // namespace blalm::testing
