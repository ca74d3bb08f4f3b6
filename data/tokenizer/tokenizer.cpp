#include "data/tokenizer/tokenizer.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <mutex>
#include <utility>

#include "data/text/character_class.h"
#include "data/tokenizer/encoder.h"
#include "data/tokenizer/tokenizer_parts.h"
#include "engine/core/error.h"
#include "engine/io/atomic_file.h"
#include "engine/io/mapped_file.h"

namespace blalm {

// Encoders that no thread uses right now.
class Tokenizer::EncoderStock {
 public:
  template <class Use>
  void lend(const Tokenizer& tokenizer, Use&& use) {
    std::unique_ptr<Encoder> encoder;
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        encoder = std::move(idle_.back());
        idle_.pop_back();
      }
    }
    if (!encoder) encoder = std::make_unique<Encoder>(tokenizer);
    use(*encoder);
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(encoder));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Encoder>> idle_;
};

Tokenizer::Tokenizer(TokenizerParts parts)
    : parts_(std::make_unique<const TokenizerParts>(std::move(parts))), stock_(std::make_unique<EncoderStock>()) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  std::filesystem::path file = path;
  if (std::filesystem::is_directory(path)) {
    file = path / "tokenizer.json";
    if (!std::filesystem::exists(file) && std::filesystem::exists(path / "vocab.json")) file = path / "vocab.json";
  }
  const MappedFile json(file);
  if (file.filename() != "vocab.json") return from_json(json.text(), file.string());
  const MappedFile merges(file.parent_path() / "merges.txt");
  return Tokenizer(parse_gpt2_files(json.text(), merges.text(), {file.string(), merges.path().string()}));
}

Tokenizer Tokenizer::from_json(std::string_view json, const std::string& name) {
  return Tokenizer(parse_tokenizer_json(json, name));
}

void Tokenizer::save(const std::filesystem::path& path) const { write_file_atomically(path, to_json()); }

std::string Tokenizer::to_json() const { return write_tokenizer_json(*parts_); }

void Tokenizer::save_gpt2(const std::filesystem::path& folder) const {
  const Gpt2Files files = write_gpt2_files(*parts_);
  write_file_atomically(folder / "vocab.json", files.vocab);
  write_file_atomically(folder / "merges.txt", files.merges);
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<std::int32_t> ids;
  stock_->lend(*this, [&](Encoder& encoder) { encoder.append(text, options, ids); });
  return ids;
}

Encoding Tokenizer::encode_with_ranges(std::string_view text, const EncodeOptions& options) const {
  Encoding encoding;
  stock_->lend(*this, [&](Encoder& encoder) { encoder.append(text, options, encoding); });
  return encoding;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    const std::string_view token = token_bytes(id);
    if (!skip_special || !is_special(id)) bytes += token;
  }
  return DecoderRun(parts_->decoder).push(std::move(bytes), true);
}

std::int32_t Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }

std::optional<std::int32_t> Tokenizer::token_id(std::string_view spelling) const {
  return parts_->vocabulary.find(spelling);
}

namespace {

const Token& token_at(const Vocabulary& vocabulary, std::int32_t id) {
  if (id < 0 || id >= vocabulary.size()) {
    throw DataError(expected_got("tokenizer", fmt::format("a token id below {}", vocabulary.size()), fmt::to_string(id),
                                 "is this the tokenizer of the model?"));
  }
  return vocabulary[id];
}

}  // namespace

std::string_view Tokenizer::token(std::int32_t id) const { return token_at(parts_->vocabulary, id).spelling; }
std::string_view Tokenizer::token_bytes(std::int32_t id) const { return token_at(parts_->vocabulary, id).bytes; }
bool Tokenizer::is_special(std::int32_t id) const { return token_at(parts_->vocabulary, id).special; }

std::vector<std::uint8_t> Tokenizer::missing_bytes() const { return parts_->model.missing_bytes(); }

std::uint64_t Tokenizer::fingerprint() const {
  const std::string json = to_json();
  return XXH3_64bits(json.data(), json.size());
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special)
    : tokenizer_(&tokenizer), skip_special_(skip_special), run_(tokenizer.parts().decoder) {}

std::string StreamDecoder::push(std::int32_t id) {
  const std::string_view bytes = tokenizer_->token_bytes(id);
  if (skip_special_ && tokenizer_->is_special(id)) return {};
  held_ += run_.push(std::string(bytes), false);
  const std::size_t kept = utf8::incomplete_suffix(held_);
  std::string text = held_.substr(0, held_.size() - kept);
  held_.erase(0, text.size());
  return text;
}

std::string StreamDecoder::finish() {
  std::string text = std::exchange(held_, {}) + run_.push({}, true);
  run_ = DecoderRun(tokenizer_->parts().decoder);
  return text;
}

}  // namespace blalm
