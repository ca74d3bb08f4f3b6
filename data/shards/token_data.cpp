#include "data/shards/token_data.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "engine/core/error.h"

namespace blalm {
namespace {

std::string describe(const TokenizerId& id) {
  return fmt::format("{} of {} ids", id.fingerprint.str().substr(0, 12), id.vocab_size);
}

}  // namespace

TokenData::TokenData(std::vector<Shard> shards) : shards_(std::move(shards)) {
  assert(!shards_.empty());
  tokenizer_ = shards_.front().tokenizer();
  for (const Shard& shard : shards_) {
    if (shard.tokenizer() != tokenizer_) {
      throw DataError(expected_got(shard.path().string(), fmt::format("tokens of tokenizer {}", describe(tokenizer_)),
                                   describe(shard.tokenizer()), "shards of different data were mixed"));
    }
    starts_.push_back(total_.tokens);
    total_.tokens += shard.tokens();
    total_.words += shard.words();
    total_.bytes += shard.bytes();
    lines_ += shard.lines();
  }
}

TokenData TokenData::open(const std::filesystem::path& folder, Part part, const std::optional<TokenizerId>& tokenizer,
                          Verify verify) {
  const PreparedData prepared = read_prepared(folder);
  if (tokenizer && *tokenizer != prepared.tokenizer) {
    throw DataError(expected_got("data", fmt::format("tokens of tokenizer {}", describe(*tokenizer)),
                                 fmt::format("'{}' made with {}", folder.string(), describe(prepared.tokenizer)),
                                 "prepare the text again with this tokenizer"));
  }
  std::vector<Shard> shards;
  for (const ShardInfo& info : prepared.part(part).shards) {
    shards.emplace_back(folder / info.file, verify);
    const Shard& shard = shards.back();
    if (shard.checksum() != info.checksum || shard.tokenizer() != prepared.tokenizer) {
      throw DataError(
          expected_got(shard.path().string(), "the shard that data.json lists", "another", "prepare the data again"));
    }
    const auto check = [&](std::string_view name, std::int64_t listed, std::int64_t counted) {
      if (listed != counted)
        throw FormatError(expected_got((folder / "data.json").string(),
                                       fmt::format("{} {} in {}, as the shard has", counted, name, info.file),
                                       fmt::format("{}", listed), "prepare the data again"));
    };
    check("tokens", info.tokens, shard.tokens());
    check("lines", info.lines, shard.lines());
    check("words", info.words, shard.words());
    check("bytes", info.bytes, shard.bytes());
  }
  if (shards.empty()) {
    throw DataError(expected_got("data", fmt::format("{} text in '{}'", name_of(part), folder.string()), "none"));
  }
  return TokenData(std::move(shards));
}

std::uint64_t TokenData::checksum() const {
  std::vector<std::uint64_t> sums;
  for (const Shard& shard : shards_) sums.push_back(shard.checksum());
  return XXH3_64bits(sums.data(), sums.size() * sizeof(sums[0]));
}

void TokenData::read(std::int64_t begin, std::span<std::int32_t> out) const {
  auto shard = static_cast<std::size_t>(std::ranges::upper_bound(starts_, begin) - starts_.begin() - 1);
  while (!out.empty()) {
    const std::int64_t first = begin - starts_[shard];
    const auto count = std::min(out.size(), static_cast<std::size_t>(shards_[shard].tokens() - first));
    shards_[shard].read(first, out.first(count));
    out = out.subspan(count);
    begin += static_cast<std::int64_t>(count);
    ++shard;
  }
}

std::vector<LineCounts> TokenData::counts_every(std::int64_t stride) const {
  std::vector<LineCounts> counts{{}};
  counts.reserve(static_cast<std::size_t>(tokens() / stride + 1));
  std::int64_t edge = stride;
  LineCounts before, line;  // of all lines before this one
  for (const Shard& shard : shards_) {
    LineTableReader table = shard.line_table();
    while (table.next(line) == LineTableReader::Step::line) {
      for (; edge <= before.tokens + line.tokens; edge += stride) {
        const LineCounts part = part_of(line, edge - before.tokens);
        counts.push_back({edge, before.words + part.words, before.bytes + part.bytes});
      }
      before.tokens += line.tokens;
      before.words += line.words;
      before.bytes += line.bytes;
    }
  }
  return counts;
}

}  // namespace blalm
