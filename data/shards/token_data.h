// The tokens of a text as one stream, whatever number of shards it lies in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "data/shards/prepared.h"
#include "data/shards/shard.h"

namespace blalm {

class TokenData {
 public:
  // Shards of one text in order, all of the same tokenizer (else DataError). At least one.
  explicit TokenData(std::vector<Shard> shards);

  // A part of a prepared folder. With `tokenizer` given, data made with another one is refused: DataError.
  // DataError for a part without text and for shards that data.json does not know; FormatError as for Shard.
  static TokenData open(const std::filesystem::path& folder, Part part,
                        const std::optional<TokenizerId>& tokenizer = {}, Verify verify = Verify::checksum);

  const TokenizerId& tokenizer() const { return tokenizer_; }
  const LineCounts& total() const { return total_; }
  std::int64_t tokens() const { return total_.tokens; }
  std::int64_t lines() const { return lines_; }
  // Equal for the same tokens and lines cut into the same shards.
  std::uint64_t checksum() const;

  // Copies tokens [begin, begin + out.size()), which must be within [0, tokens()).
  void read(std::int64_t begin, std::span<std::int32_t> out) const;

  // What the first 0, stride, 2·stride, … tokens count for: tokens() / stride + 1 entries, tail left out.
  std::vector<LineCounts> counts_every(std::int64_t stride) const;

 private:
  std::vector<Shard> shards_;
  std::vector<std::int64_t> starts_;  // first token of each shard
  TokenizerId tokenizer_;
  LineCounts total_;
  std::int64_t lines_ = 0;
};

}  // namespace blalm
