// Tokenizer: byte-level BPE, as in Hugging Face tokenizer.json files and GPT-2's vocab.json with merges.txt.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/decoder.h"
#include "data/tokenizer/encoding.h"

namespace blalm {

struct TokenizerParts;

// Immutable once made; all members may be called from several threads at once.
// Ids are those of Hugging Face's library for the same file. Its truncation and padding settings are kept for writing
// but not applied.
class Tokenizer {
 public:
  // A tokenizer.json; a folder that holds one, or vocab.json and merges.txt; or a vocab.json with merges.txt beside it.
  // DataError for what cannot be read; FormatError, naming the field, for what breaks the format or is not supported.
  static Tokenizer load(const std::filesystem::path& path);
  // `name` stands for the file in errors.
  static Tokenizer from_json(std::string_view json, const std::string& name = "tokenizer.json");

  // Writes a tokenizer.json (atomically); read back it gives the same ids.
  void save(const std::filesystem::path& path) const;
  std::string to_json() const;
  // Writes vocab.json and merges.txt, which hold tokens and merges but no normalizer, pattern or decoder.
  void save_gpt2(const std::filesystem::path& folder) const;

  // Any bytes will do. For much text use an Encoder a thread (encoder.h), which this takes from a shared stock.
  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  Encoding encode_with_ranges(std::string_view text, const EncodeOptions& options = {}) const;

  // The text of `ids`. Without a normalizer or prefix space in the file decode(encode(x)) is x, whatever its bytes.
  // DataError for an id outside the vocabulary.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = true) const;

  // The number of ids (largest id plus one): the rows of an embedding.
  std::int32_t vocab_size() const;
  // By spelling: "Ġthe", "<s>".
  std::optional<std::int32_t> token_id(std::string_view spelling) const;
  // How a token is spelled, and the bytes it stands for. Empty for a gap in the ids; DataError outside [0, vocab_size).
  std::string_view token(std::int32_t id) const;
  std::string_view token_bytes(std::int32_t id) const;
  bool is_special(std::int32_t id) const;

  // Bytes that no token stands for; where the file names no unk_token, encoding drops them. None in files of ours.
  std::vector<std::uint8_t> missing_bytes() const;
  // The same number for tokenizers that would be written the same: tells whether data was made with this one.
  std::uint64_t fingerprint() const;

  // Made from parts (by this folder).
  explicit Tokenizer(TokenizerParts parts);
  const TokenizerParts& parts() const { return *parts_; }

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

 private:
  class EncoderStock;

  std::unique_ptr<const TokenizerParts> parts_;
  std::unique_ptr<EncoderStock> stock_;
};

// Text from ids one by one, as a model generates them. The tokenizer must outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special = true);

  // The text that is complete with this token: the beginning of a character is held back until the rest of it comes.
  std::string push(std::int32_t id);
  // All that was held back; the next push begins a new text.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  DecoderRun run_;
  std::string held_;
};

}  // namespace blalm
