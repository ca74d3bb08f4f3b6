#include <fmt/format.h>
#include <xxhash.h>

#include <bit>
#include <cstring>
#include <utility>

#include "data/shards/shard.h"
#include "data/shards/shard_rules.h"
#include "engine/core/error.h"
#include "engine/io/atomic_file.h"

namespace blalm {

static_assert(std::endian::native == std::endian::little, "shards are written as they lie in memory");

ShardWriter::ShardWriter(std::filesystem::path folder, std::string prefix, const TokenizerId& tokenizer,
                         std::int64_t max_tokens)
    : folder_(std::move(folder)), prefix_(std::move(prefix)), tokenizer_(tokenizer), max_tokens_(max_tokens) {
  if (tokenizer.vocab_size < 1 || tokenizer.vocab_size > kMaxVocabulary)
    throw DataError(expected_got("shard", fmt::format("a vocabulary of 1 to {} ids", kMaxVocabulary),
                                 fmt::format("{}", tokenizer.vocab_size)));
}

void ShardWriter::add(std::span<const std::int32_t> tokens, std::int64_t words, std::int64_t bytes) {
  const LineCounts line{static_cast<std::int64_t>(tokens.size()), words, bytes};
  for (const std::int64_t count : {line.tokens, line.words, line.bytes})
    if (count < 0 || count > kMaxLineCount)
      throw DataError(expected_got("shard", fmt::format("at most {} tokens, words and bytes a line", kMaxLineCount),
                                   fmt::format("{}", count)));
  for (const std::int32_t id : tokens)
    if (id < 0 || id >= tokenizer_.vocab_size)
      throw DataError(expected_got("shard", fmt::format("token ids from 0 to {}", tokenizer_.vocab_size - 1),
                                   fmt::format("{}", id)));
  if (table_.lines() > 0 && table_.total().tokens + line.tokens > max_tokens_) write_shard();
  const auto width = static_cast<std::size_t>(token_bytes_for(tokenizer_.vocab_size));
  const std::size_t before = tokens_.size();
  tokens_.resize(before + tokens.size() * width);
  std::byte* out = tokens_.data() + before;
  for (const std::int32_t id : tokens) {
    std::memcpy(out, &id, width);  // little-endian: the low bytes come first
    out += width;
  }
  table_.add(line);
}

void ShardWriter::write_shard() {
  tokens_.resize(padded(tokens_.size()));
  ShardHeader header{};
  std::memcpy(header.magic, kShardMagic.data(), sizeof(header.magic));
  header.version = kShardVersion;
  header.token_bytes = token_bytes_for(tokenizer_.vocab_size);
  header.vocab_size = static_cast<std::uint64_t>(tokenizer_.vocab_size);
  header.tokens = static_cast<std::uint64_t>(table_.total().tokens);
  header.lines = static_cast<std::uint64_t>(table_.lines());
  header.words = static_cast<std::uint64_t>(table_.total().words);
  header.bytes = static_cast<std::uint64_t>(table_.total().bytes);
  header.table_bytes = table_.encoded().size();
  header.fingerprint_high = tokenizer_.fingerprint.high;
  header.fingerprint_low = tokenizer_.fingerprint.low;
  header.data_checksum = data_checksum(tokens_, table_.encoded());
  header.header_checksum = header_checksum(header);

  ShardInfo info{fmt::format("{}-{:05}.bin", prefix_, written_.size()),
                 table_.total().tokens,
                 table_.lines(),
                 table_.total().words,
                 table_.total().bytes,
                 header.header_checksum};
  AtomicFile file(folder_ / info.file);
  file.append(std::as_bytes(std::span(&header, 1)));
  file.append(tokens_);
  file.append(table_.encoded());
  file.commit();
  written_.push_back(std::move(info));
  tokens_.clear();
  table_.clear();
}

std::vector<ShardInfo> ShardWriter::finish() {
  if (table_.lines() > 0) write_shard();
  return std::exchange(written_, {});
}

}  // namespace blalm
