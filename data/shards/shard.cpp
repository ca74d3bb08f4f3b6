#include "data/shards/shard.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "data/shards/shard_rules.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

constexpr std::string_view kRemedy = "prepare the data again";

template <class Token>
std::span<const Token> as_tokens(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const Token*>(bytes.data()), bytes.size() / sizeof(Token)};
}

}  // namespace

std::uint64_t header_checksum(const ShardHeader& header) {
  return XXH3_64bits(&header, offsetof(ShardHeader, header_checksum));
}

std::uint64_t data_checksum(std::span<const std::byte> padded_tokens, std::span<const std::byte> table) {
  XXH3_state_t* state = XXH3_createState();
  if (state == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(state);
  XXH3_64bits_update(state, padded_tokens.data(), padded_tokens.size());
  XXH3_64bits_update(state, table.data(), table.size());
  const std::uint64_t hash = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  return hash;
}

Shard::Shard(const std::filesystem::path& path, Verify verify) : file_(path) {
  if (file_.size() < sizeof(ShardHeader))
    fail("header", fmt::format("{} bytes", sizeof(ShardHeader)), fmt::format("a file of {}", file_.size()),
         "not a token shard, or truncated");
  std::memcpy(&header_, file_.bytes().data(), sizeof(header_));
  check_header();
  const std::span<const std::byte> data = file_.bytes().subspan(sizeof(ShardHeader));
  const std::span<const std::byte> padded_tokens = data.first(data.size() - header_.table_bytes);
  tokens_ = padded_tokens.first(header_.tokens * header_.token_bytes);
  table_ = data.last(header_.table_bytes);
  if (verify == Verify::checksum && data_checksum(padded_tokens, table_) != header_.data_checksum)
    fail("data_checksum", fmt::format("{:016x}", header_.data_checksum), "other data", kRemedy);
  check_tokens();
  check_table();
}

void Shard::check_header() const {
  const ShardHeader& h = header_;
  const auto number = [](std::uint64_t n) { return fmt::format("{}", n); };
  if (std::string_view(h.magic, sizeof(h.magic)) != kShardMagic)
    fail("magic", fmt::format("'{}'", kShardMagic), "other bytes", "not a token shard");
  if (h.version != kShardVersion) fail("version", number(kShardVersion), number(h.version), kRemedy);
  if (header_checksum(h) != h.header_checksum)
    fail("header_checksum", fmt::format("{:016x}", h.header_checksum), "another header", kRemedy);
  if (h.vocab_size < 1 || h.vocab_size > static_cast<std::uint64_t>(kMaxVocabulary))
    fail("vocab_size", fmt::format("1 to {}", kMaxVocabulary), number(h.vocab_size));
  const std::uint32_t width = token_bytes_for(static_cast<std::int64_t>(h.vocab_size));
  if (h.token_bytes != width)
    fail("token_bytes", fmt::format("{} for {} ids", width, h.vocab_size), number(h.token_bytes));
  if (std::ranges::any_of(h.reserved, [](std::uint64_t r) { return r != 0; }))
    fail("reserved", "zeros", "other values");
  // The file's own size bounds all counts before they are used.
  const std::uint64_t room = file_.size() - sizeof(ShardHeader);
  if (h.tokens > room / width)
    fail("tokens", fmt::format("at most {}, for a file of {} bytes", room / width, file_.size()), number(h.tokens),
         "truncated?");
  const std::uint64_t padded_bytes = padded(h.tokens * width);
  if (padded_bytes > room || h.table_bytes != room - padded_bytes)
    fail("table_bytes", fmt::format("{}, for a file of {} bytes", room - std::min(room, padded_bytes), file_.size()),
         number(h.table_bytes), "truncated or with bytes added?");
  if (h.lines > h.table_bytes / 3)
    fail("lines", fmt::format("at most {}, a third of table_bytes", h.table_bytes / 3), number(h.lines));
}

void Shard::check_tokens() const {
  std::uint32_t largest = 0;
  const auto look = [&](auto tokens) {
    for (const auto token : tokens) largest = std::max<std::uint32_t>(largest, token);
  };
  if (header_.token_bytes == 2)
    look(as_tokens<std::uint16_t>(tokens_));
  else
    look(as_tokens<std::uint32_t>(tokens_));
  if (tokens() > 0 && largest >= header_.vocab_size)
    fail("tokens", fmt::format("ids below vocab_size {}", header_.vocab_size), fmt::format("{}", largest));
}

void Shard::check_table() const {
  LineTableReader reader = line_table();
  LineCounts line, total;
  std::uint64_t lines = 0;
  LineTableReader::Step step;
  while ((step = reader.next(line)) == LineTableReader::Step::line) {
    total.tokens += line.tokens;  // at most 2^31 a line, and fewer than 2^32 lines a gigabyte of table
    total.words += line.words;
    total.bytes += line.bytes;
    ++lines;
  }
  if (step == LineTableReader::Step::damaged)
    fail("line table", "three counts a line", fmt::format("damage after {} lines", lines), kRemedy);
  const auto check = [&](std::string_view field, std::uint64_t claimed, std::uint64_t counted) {
    if (claimed != counted)
      fail(field, fmt::format("{}, as the line table has", counted), fmt::format("{}", claimed), kRemedy);
  };
  check("lines", header_.lines, lines);
  check("tokens", header_.tokens, static_cast<std::uint64_t>(total.tokens));
  check("words", header_.words, static_cast<std::uint64_t>(total.words));
  check("bytes", header_.bytes, static_cast<std::uint64_t>(total.bytes));
}

void Shard::fail(std::string_view field, std::string_view expected, std::string_view got, std::string_view hint) const {
  throw FormatError(expected_got(fmt::format("{}: {}", path().string(), field), expected, got, hint));
}

TokenizerId Shard::tokenizer() const {
  return {static_cast<std::int64_t>(header_.vocab_size), {header_.fingerprint_high, header_.fingerprint_low}};
}

void Shard::read(std::int64_t begin, std::span<std::int32_t> out) const {
  const auto copy = [&](auto tokens) {
    const auto part = tokens.subspan(static_cast<std::size_t>(begin), out.size());
    std::ranges::transform(part, out.begin(), [](auto token) { return static_cast<std::int32_t>(token); });
  };
  if (header_.token_bytes == 2)
    copy(as_tokens<std::uint16_t>(tokens_));
  else
    copy(as_tokens<std::uint32_t>(tokens_));
}

}  // namespace blalm
