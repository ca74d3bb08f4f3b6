// What writer and reader of shards (shard.h) agree on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "data/shards/shard.h"

namespace blalm {

inline constexpr std::string_view kShardMagic = "blalmtok";
inline constexpr std::uint32_t kShardVersion = 1;
inline constexpr std::int64_t kMaxVocabulary = (std::int64_t{1} << 31) - 1;

inline std::uint32_t token_bytes_for(std::int64_t vocab_size) { return vocab_size <= 65536 ? 2 : 4; }
inline std::size_t padded(std::size_t bytes) { return (bytes + 7) / 8 * 8; }

std::uint64_t header_checksum(const ShardHeader& header);
std::uint64_t data_checksum(std::span<const std::byte> padded_tokens, std::span<const std::byte> table);

}  // namespace blalm
