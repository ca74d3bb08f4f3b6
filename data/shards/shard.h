// Token shards: the ids of a text, ready to be mapped into memory.
//
// A shard is a header of 128 bytes, the tokens (u16 when the vocabulary has at most 65,536 ids, else u32; padded with
// zeros to a multiple of 8 bytes), and the line table (line_table.h). All numbers are little-endian. Shards of one text
// are read as one stream of tokens, so that where they were cut does not matter.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/shards/fingerprint.h"
#include "data/shards/line_table.h"
#include "engine/io/mapped_file.h"

namespace blalm {

// The tokenizer that a shard belongs to.
struct TokenizerId {
  std::int64_t vocab_size = 0;
  Fingerprint fingerprint;

  bool operator==(const TokenizerId&) const = default;
};

struct ShardHeader {
  char magic[8];              // "blalmtok"
  std::uint32_t version;      // 1
  std::uint32_t token_bytes;  // 2 or 4
  std::uint64_t vocab_size;
  std::uint64_t tokens;
  std::uint64_t lines;  // lines of text or documents
  std::uint64_t words;
  std::uint64_t bytes;             // of text
  std::uint64_t table_bytes;       // of the line table
  std::uint64_t fingerprint_high;  // of the tokenizer
  std::uint64_t fingerprint_low;
  std::uint64_t data_checksum;    // XXH3-64 of all that follows the header
  std::uint64_t reserved[4];      // 0
  std::uint64_t header_checksum;  // XXH3-64 of the bytes before it
};
static_assert(sizeof(ShardHeader) == 128);

struct ShardInfo {
  std::string file;  // name in its folder
  std::int64_t tokens = 0;
  std::int64_t lines = 0;
  std::int64_t words = 0;
  std::int64_t bytes = 0;
  std::uint64_t checksum = 0;  // of the header, which holds that of the data
};

inline constexpr std::int64_t kShardTokens = std::int64_t{1} << 24;

// Writes FOLDER/PREFIX-00000.bin, -00001.bin and so on, each atomically. Holds one shard in memory.
class ShardWriter {
 public:
  // A shard has at most `max_tokens` tokens, or one line.
  ShardWriter(std::filesystem::path folder, std::string prefix, const TokenizerId& tokenizer,
              std::int64_t max_tokens = kShardTokens);

  // A line with its separators. DataError for an id outside [0, vocab_size) or counts above kMaxLineCount.
  void add(std::span<const std::int32_t> tokens, std::int64_t words, std::int64_t bytes);
  // Writes what is left and tells what was written; no shard at all when nothing was added. DataError: full disk, ….
  std::vector<ShardInfo> finish();

 private:
  void write_shard();

  std::filesystem::path folder_;
  std::string prefix_;
  TokenizerId tokenizer_;
  std::int64_t max_tokens_;
  std::vector<std::byte> tokens_;  // encoded
  LineTable table_;
  std::vector<ShardInfo> written_;
};

enum class Verify { checksum, header_only };

// A shard mapped into memory. Nothing of it is believed before it was checked.
class Shard {
 public:
  // FormatError, naming the file and the field, for a header that breaks a rule, a file shorter or longer than its
  // header says, flipped bytes (checksum), a token outside the vocabulary, a line table that does not add up.
  // DataError when the file cannot be read.
  // Verify::header_only leaves out the checksum of the data (about 1 ms for 10 MB); all other checks are made.
  explicit Shard(const std::filesystem::path& path, Verify verify = Verify::checksum);

  const std::filesystem::path& path() const { return file_.path(); }
  std::int64_t tokens() const { return static_cast<std::int64_t>(header_.tokens); }
  std::int64_t lines() const { return static_cast<std::int64_t>(header_.lines); }
  std::int64_t words() const { return static_cast<std::int64_t>(header_.words); }
  std::int64_t bytes() const { return static_cast<std::int64_t>(header_.bytes); }
  TokenizerId tokenizer() const;
  std::uint64_t checksum() const { return header_.header_checksum; }

  // Copies tokens [begin, begin + out.size()), which must be within [0, tokens()).
  void read(std::int64_t begin, std::span<std::int32_t> out) const;
  LineTableReader line_table() const { return LineTableReader(table_); }

 private:
  void check_header() const;
  void check_tokens() const;
  void check_table() const;
  [[noreturn]] void fail(std::string_view field, std::string_view expected, std::string_view got,
                         std::string_view hint = {}) const;

  MappedFile file_;
  ShardHeader header_{};
  std::span<const std::byte> tokens_;
  std::span<const std::byte> table_;
};

}  // namespace blalm
