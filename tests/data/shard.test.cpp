#include "data/shards/shard.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstring>
#include <functional>

#include "data/shards/shard_rules.h"
#include "data/shards/varint.h"
#include "engine/core/error.h"
#include "tests/data/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

struct Lines {
  std::vector<std::vector<std::int32_t>> tokens;
  std::vector<LineCounts> counts;

  std::vector<std::int32_t> all() const {
    std::vector<std::int32_t> ids;
    for (const auto& line : tokens) ids.insert(ids.end(), line.begin(), line.end());
    return ids;
  }
};

Lines random_ids(Rng& rng, int lines, std::int64_t vocab_size) {
  Lines result;
  for (int i = 0; i < lines; ++i) {
    std::vector<std::int32_t> ids(rng.below(i % 7 == 0 ? 300 : 9));
    for (std::int32_t& id : ids) id = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(vocab_size)));
    result.counts.push_back({static_cast<std::int64_t>(ids.size()), static_cast<std::int64_t>(rng.below(200)),
                             static_cast<std::int64_t>(rng.below(2000))});
    result.tokens.push_back(std::move(ids));
  }
  return result;
}

std::vector<ShardInfo> write(const std::filesystem::path& folder, const Lines& lines, std::int64_t vocab_size,
                             std::int64_t max_tokens = kShardTokens) {
  ShardWriter writer(folder, "train", {vocab_size, fingerprint_of("t")}, max_tokens);
  for (std::size_t i = 0; i < lines.tokens.size(); ++i)
    writer.add(lines.tokens[i], lines.counts[i].words, lines.counts[i].bytes);
  return writer.finish();
}

std::vector<std::int32_t> tokens_of(const Shard& shard) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(shard.tokens()));
  shard.read(0, ids);
  return ids;
}

std::vector<LineCounts> lines_of(const Shard& shard) {
  std::vector<LineCounts> lines;
  LineTableReader reader = shard.line_table();
  LineCounts line;
  while (reader.next(line) == LineTableReader::Step::line) lines.push_back(line);
  return lines;
}

// A small shard whose bytes a test may change.
struct SmallShard {
  TempFolder folder;
  std::string content;

  SmallShard() {
    Rng rng(5);
    write(folder.path(), random_ids(rng, 20, 500), 500);
    content = read_plainly(folder / "train-00000.bin");
  }
  ShardHeader header() const {
    ShardHeader h{};
    std::memcpy(&h, content.data(), sizeof(h));
    return h;
  }
  // Puts in a header whose checksum is right whatever it says.
  void set(ShardHeader h) {
    h.header_checksum = header_checksum(h);
    std::memcpy(content.data(), &h, sizeof(h));
  }
  // As `set`, with the checksum of the data as it is.
  void seal(ShardHeader h) {
    const auto bytes = std::as_bytes(std::span(content)).subspan(sizeof(h));
    h.data_checksum = data_checksum(bytes.first(bytes.size() - h.table_bytes), bytes.last(h.table_bytes));
    set(h);
  }
  std::string error(Verify verify = Verify::checksum) const {
    write_anew(folder / "changed.bin", content);
    return message_of<FormatError>([&] { Shard shard(folder / "changed.bin", verify); });
  }
};

}  // namespace

TEST_CASE("whole numbers of all sizes survive") {
  std::vector<std::byte> bytes;
  std::vector<std::uint64_t> values{
      0, 1, 127, 128, 16383, 16384, (std::uint64_t{1} << 31) - 1, (std::uint64_t{1} << 63) - 1};
  for (const std::uint64_t value : values) put_varint(value, bytes);
  std::span<const std::byte> rest = bytes;
  for (const std::uint64_t value : values) CHECK(take_varint(rest) == static_cast<std::int64_t>(value));
  CHECK(rest.empty());
  CHECK_FALSE(take_varint(rest));
  for (const std::size_t size : std::initializer_list<std::size_t>{1, 5, 9, 20}) {  // without an end; too large
    const std::vector<std::byte> endless(size, std::byte{0x80});
    rest = endless;
    CHECK_FALSE(take_varint(rest));
  }
}

TEST_CASE("tokens and lines survive in shards of any size") {
  TempFolder folder;
  Rng rng(6);
  for (const std::int64_t vocab_size : {1, 65536, 65537}) {
    const Lines lines = random_ids(rng, 20, vocab_size);
    for (const std::int64_t max_tokens : {1, 50, 1 << 20}) {
      CAPTURE(vocab_size);
      CAPTURE(max_tokens);
      const std::vector<ShardInfo> infos = write(folder.path(), lines, vocab_size, max_tokens);
      std::vector<std::int32_t> ids;
      std::vector<LineCounts> counts;
      for (const ShardInfo& info : infos) {
        const Shard shard(folder / info.file);
        CHECK(shard.tokenizer() == TokenizerId{vocab_size, fingerprint_of("t")});
        CHECK(shard.tokens() == info.tokens);
        CHECK(shard.words() == info.words);
        CHECK(shard.bytes() == info.bytes);
        CHECK(shard.lines() == info.lines);
        CHECK(shard.checksum() == info.checksum);
        CHECK((info.tokens <= max_tokens || info.lines == 1));
        for (const std::int32_t id : tokens_of(shard)) ids.push_back(id);
        for (const LineCounts& line : lines_of(shard)) counts.push_back(line);
        const std::int64_t file_size = static_cast<std::int64_t>(std::filesystem::file_size(folder / info.file));
        CHECK(file_size < 128 + 8 + info.tokens * (vocab_size <= 65536 ? 2 : 4) + 6 * info.lines);
      }
      CHECK(ids == lines.all());
      CHECK(counts == lines.counts);
      CHECK((infos.size() > 1) == (max_tokens <= 50));
    }
  }
}

TEST_CASE("any part of a shard can be read") {
  TempFolder folder;
  Rng rng(7);
  const Lines lines = random_ids(rng, 30, 1000);
  write(folder.path(), lines, 1000);
  const Shard shard(folder / "train-00000.bin");
  const std::vector<std::int32_t> all = lines.all();
  for (int trial = 0; trial < 100; ++trial) {
    const std::size_t begin = rng.below(all.size() + 1), size = rng.below(all.size() - begin + 1);
    std::vector<std::int32_t> part(size);
    shard.read(static_cast<std::int64_t>(begin), part);
    REQUIRE(std::equal(part.begin(), part.end(), all.begin() + static_cast<std::ptrdiff_t>(begin)));
  }
}

TEST_CASE("nothing gives no shard, and what does not fit is refused") {
  TempFolder folder;
  ShardWriter writer(folder.path(), "train", {10, {}});
  CHECK(writer.finish().empty());
  CHECK(folder.listing().empty());
  const std::vector<std::int32_t> negative{1, -1}, large{10};
  CHECK(has(message_of<DataError>([&] { writer.add(negative, 1, 1); }), "token ids from 0 to 9, got -1"));
  CHECK(has(message_of<DataError>([&] { writer.add(large, 1, 1); }), "token ids from 0 to 9, got 10"));
  CHECK_THROWS_AS(writer.add({}, kMaxLineCount + 1, 1), DataError);
  CHECK_THROWS_AS(writer.add({}, 1, -1), DataError);
  CHECK_THROWS_AS(ShardWriter(folder.path(), "x", {0, {}}), DataError);
  ShardWriter nowhere(folder / "missing", "train", {10, {}});
  nowhere.add({}, 1, 1);
  CHECK(has(message_of<DataError>([&] { nowhere.finish(); }), "No such file"));
}

TEST_CASE("every flipped bit and every truncation is found") {
  const SmallShard whole;
  CHECK(whole.error() == "nothing was thrown");
  SmallShard changed;
  for (std::size_t i = 0; i < whole.content.size(); ++i) {
    changed.content = whole.content;
    changed.content[i] = static_cast<char>(changed.content[i] ^ (1 << i % 8));
    const std::string message = changed.error();
    REQUIRE(has(message, "changed.bin: "));
    REQUIRE(has(message, i < 8 ? "magic" : i < 12 ? "version" : i < 128 ? "header_checksum" : "data_checksum"));
  }
  for (std::size_t size = 0; size < whole.content.size(); ++size) {
    changed.content = whole.content.substr(0, size);
    const std::string message = changed.error(Verify::header_only);
    REQUIRE(has(message, "truncated"));
    REQUIRE(has(message, "changed.bin: "));
  }
  changed.content = whole.content + '\0';
  CHECK(has(changed.error(), "table_bytes"));
}

TEST_CASE("each field of a header is checked before it is used") {
  const SmallShard whole;
  const struct {
    std::string_view field;
    std::function<void(ShardHeader&)> change;
  } cases[] = {
      {"version", [](ShardHeader& h) { h.version = 2; }},
      {"vocab_size", [](ShardHeader& h) { h.vocab_size = 0; }},
      {"vocab_size", [](ShardHeader& h) { h.vocab_size = std::uint64_t{1} << 40; }},
      {"token_bytes", [](ShardHeader& h) { h.token_bytes = 4; }},
      {"token_bytes", [](ShardHeader& h) { h.token_bytes = 0; }},
      {"token_bytes", [](ShardHeader& h) { h.vocab_size = 100'000; }},
      {"reserved", [](ShardHeader& h) { h.reserved[3] = 1; }},
      {"tokens", [](ShardHeader& h) { h.tokens = ~std::uint64_t{0}; }},
      {"tokens", [](ShardHeader& h) { h.tokens = std::uint64_t{1} << 63; }},
      {"table_bytes", [](ShardHeader& h) { h.tokens += 8; }},
      {"table_bytes", [](ShardHeader& h) { h.table_bytes = ~std::uint64_t{0}; }},
      {"table_bytes", [](ShardHeader& h) { h.table_bytes -= 1; }},
      {"lines", [](ShardHeader& h) { h.lines = ~std::uint64_t{0}; }},
      {"lines", [](ShardHeader& h) { h.lines -= 1; }},
      {"tokens", [](ShardHeader& h) { h.tokens -= 1; }},
      {"words", [](ShardHeader& h) { h.words += 1; }},
      {"bytes", [](ShardHeader& h) { h.bytes = ~std::uint64_t{0}; }},
      {"data_checksum", [](ShardHeader& h) { h.data_checksum ^= 1; }},
      {"tokens", [](ShardHeader& h) { h.vocab_size = 3; }},  // tokens lie outside
  };
  for (const auto& c : cases) {
    SmallShard changed;
    ShardHeader header = whole.header();
    c.change(header);
    changed.set(header);
    const std::string message = changed.error();
    CAPTURE(message);
    CHECK(has(message, fmt::format("changed.bin: {}]", c.field)));
  }
}

TEST_CASE("a shard that was made to deceive is refused or harmless") {
  Rng rng(8);
  SmallShard changed;
  const std::string whole = changed.content;
  int opened = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    changed.content = whole.substr(0, rng.below(2) == 0 ? whole.size() : 128 + rng.below(whole.size() - 128));
    const std::size_t data_size = changed.content.size() - 128;
    for (auto i = rng.below(3); i > 0 && data_size > 0; --i)  // in tokens and line table
      changed.content[128 + rng.below(data_size)] = static_cast<char>(rng.next_u32());
    ShardHeader header = changed.header();
    std::uint64_t* fields[] = {&header.vocab_size, &header.tokens, &header.lines,
                               &header.words,      &header.bytes,  &header.table_bytes};
    for (auto i = rng.below(3); i > 0; --i) {
      std::uint64_t& field = *fields[rng.below(std::size(fields))];
      switch (rng.below(3)) {
        case 0: field += rng.below(16) - 8; break;
        case 1: field = rng.next_u64() >> rng.below(64); break;
        default: field = whole.size() - 128 - field;
      }
    }
    if (header.table_bytes + 128 <= changed.content.size())
      changed.seal(header);
    else
      changed.set(header);
    write_anew(changed.folder / "changed.bin", changed.content);
    try {
      const Shard shard(changed.folder / "changed.bin", trial % 2 == 0 ? Verify::checksum : Verify::header_only);
      ++opened;
      for (const std::int32_t id : tokens_of(shard)) REQUIRE((id >= 0 && id < shard.tokenizer().vocab_size));
      std::int64_t words = 0;
      for (const LineCounts& line : lines_of(shard)) words += line.words;
      REQUIRE(words == shard.words());
    } catch (const FormatError&) {
    }
  }
  CHECK(opened > 30);
  CHECK(opened < 2000);
}

TEST_CASE("files that are no shards") {
  TempFolder folder;
  const auto error = [&](std::string_view content) {
    write_plainly(folder / "x.bin", content);
    return message_of<FormatError>([&] { Shard shard(folder / "x.bin"); });
  };
  CHECK(has(error(""), "not a token shard"));
  CHECK(has(error("text"), "not a token shard"));
  CHECK(has(error(std::string(1000, 'x')), "magic"));
  CHECK(has(message_of<DataError>([&] { Shard shard(folder / "missing.bin"); }), "missing.bin"));
}

TEST_CASE("a part of a line counts in proportion, and parts add up") {
  CHECK(part_of({10, 7, 33}, 0) == LineCounts{0, 0, 0});
  CHECK(part_of({10, 7, 33}, 5) == LineCounts{5, 3, 16});
  CHECK(part_of({10, 7, 33}, 10) == LineCounts{10, 7, 33});
  CHECK(part_of({0, 2, 3}, 0) == LineCounts{0, 2, 3});  // a line without tokens counts where it stands
  const LineCounts huge{kMaxLineCount, kMaxLineCount, kMaxLineCount};
  CHECK(part_of(huge, kMaxLineCount - 1).words == kMaxLineCount - 1);
}
